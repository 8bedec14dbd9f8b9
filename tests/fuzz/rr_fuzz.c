/* Records as plans write them, and as the wire has them. */
#include "config.h"

#include "sdk/rr/rrset.h"
#include "sdk/rr/rrwire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first byte says which of the two it is. */
static void
as_text(const uint8_t *data, size_t len)
{
	struct rrset_list list = {0};
	struct rrset_error err;
	char *text = strndup((const char *)data, len);
	ldns_rdf *zone = ldns_dname_new_frm_str("contoso.example.");

	if (text && zone && rrset_add_text(&list, text, zone, 60, &err)) {
		char *shown = rrset_text(&list.v[0]), *name = rrset_name(&list.v[0]);

		if (!shown || !name)
			abort();
		free(shown);
		free(name);
	}
	rrset_list_release(&list);
	ldns_rdf_deep_free(zone);
	free(text);
}

static void
as_wire(const uint8_t *data, size_t len)
{
	struct wire_rr rr;
	size_t at = 0;

	if (wire_skip_questions(data, len, &at, 1))
		while (at < len && wire_next(data, len, &at, &rr))
			if (at > len || rr.owner_len > WIRE_NAME_MAX)
				abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data[0] == 'w')
		as_wire(data + 1, len - 1);
	else
		as_text(data + 1, len - 1);
	return 0;
}
