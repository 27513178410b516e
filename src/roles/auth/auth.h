/*
 * auth: checks who logs in (SASL), on threads of its own, and holds what must not get out: password
 * hashes and private keys. Fronts ask it for signatures. Channel: fd 3.
 */
#pragma once
int auth_main(void);
/*
 * gssapi: an auth for Kerberos alone, started where gssapi.keytab is set. Its library opens files
 * with each login, so it has a process and a directory of its own, and in it copies of what it
 * reads. It has no network: tickets are read with the keytab, and no key distribution centre is
 * asked. Whether there is such an account, auth tells.
 */
int gssapi_main(void);
