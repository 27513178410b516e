/* dns: looks names up, for fronts, fetch and relays. Channel: fd 3. */
#pragma once
int dns_main(void);
