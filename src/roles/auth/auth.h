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
/*
 * gssapi-out: the same for logins at other servers, started where gssapi.client_keytab is set. It
 * gets tickets, so it has a network, and the one keytab that they are got with.
 */
int gssapi_out_main(void);
