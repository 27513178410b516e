/*
 * auth: checks who logs in (SASL), on threads of its own, and holds what must not get out: password
 * hashes and private keys. Fronts ask it for signatures. Channel: fd 3.
 */
#pragma once
int auth_main(void);
