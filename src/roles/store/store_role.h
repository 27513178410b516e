/* store and reader: the processes that have the mail. Channel to parent: fd 3. */
#pragma once
int store_main(void);
int reader_main(void);
