/* sshsig.h -- who has signed a text with an ssh key: ssh-keygen -Y, no shell, no file. */
#ifndef CORE_RUN_SSHSIG_H
#define CORE_RUN_SSHSIG_H

#include "core/base/error.h"
#include "core/base/strbuf.h"

#define SSHSIG_NAMESPACE "resite-approval"

/* Checks signature (armored, as `ssh-keygen -Y sign` writes it) of text against the text
 * of an allowed_signers file and appends the principal to *ret.  Takes some ms, at most
 * some seconds.  E_REFUSED: it is no good signature, or of nobody who is named there;
 * E_NOTFOUND: there is no ssh-keygen; E_IO. */
int sshsig_principal(const char *signers, const char *signature, const char *text,
		     struct strbuf *ret, struct error *err);

#endif
