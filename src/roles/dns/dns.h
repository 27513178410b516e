/* dns: looks names up, for fronts and fetch. Channel: fd 3. */
#pragma once
int dns_main(void);
