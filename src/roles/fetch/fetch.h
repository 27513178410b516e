/* fetch: asks by HTTPS what the configuration names, for auth. Channel: fd 3. */
#pragma once
int fetch_main(void);
