/* relay: the process that brings letters to other servers: connections out, and no files. */
#pragma once

int relay_main(void);
