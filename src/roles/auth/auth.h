/* auth: accounts' password hashes; checks passwords on threads of its own. Channel: fd 3. */
#pragma once
int auth_main(void);
