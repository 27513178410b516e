/* fetch: the web by HTTPS, for auth, relays and store. Channel: fd 3. */
#pragma once
int fetch_main(void);
