/* The export format of dbimpexp.exe, as far as it is known from the programs
 * that read it: UTF-16LE with a byte order mark, CRLF, display names in base64
 * of UTF-8, then sections that are to be kept as they are. */
#include "lab/gen/outputs.h"
#include "lab/gen/text.h"

#include <stdio.h>

/* All that is not ASCII is inside the base64. */
static void
put_utf16le(const struct text *t)
{
	for (size_t i = 0; i < t->len; i++) {
		putchar(t->data[i]);
		putchar(0);
	}
}

static void
put_groups(struct text *t, const struct contact_list *list)
{
	text_str(t, "    <ContactGroups>\r\n");
	for (unsigned g = 0; g < list->n_groups; g++) {
		char number[16];

		snprintf(number, sizeof(number), "%u", g + 1);
		text_str(t, "      <ContactGroup Number=\"");
		text_str(t, number);
		text_str(t, "\" DisplayName=\"");
		text_base64(t, list->groups[g]);
		text_str(t, "\" ExternalUri=\"\" />\r\n");
	}
	text_str(t, "    </ContactGroups>\r\n");
}

static void
put_contact(struct text *t, const struct contact *c, unsigned n_groups)
{
	const char *space = "";

	text_str(t, "      <Contact Buddy=\"");
	text_xml(t, c->address);
	text_str(t, "\" SubscribePresence=\"1\" Groups=\"");
	for (unsigned g = 0; g < n_groups; g++) {
		char number[16];

		if (!(c->groups >> g & 1))
			continue;
		snprintf(number, sizeof(number), "%s%u", space, g + 1);
		text_str(t, number);
		space = " ";
	}
	text_str(t, "\" DisplayName=\"");
	text_base64(t, c->name);
	text_str(t, "\" />\r\n");
}

static void
put_user(struct text *t, const struct crowd *crowd, unsigned n)
{
	struct person p;
	struct contact_list list;

	person_at(crowd, n, &p);
	contacts_of(crowd, n, &list);
	text_str(t, "  <HomedResource UserAtHost=\"");
	text_str(t, p.id);
	text_str(t, "@");
	text_xml(t, crowd->domain);
	text_str(t, "\">\r\n");
	put_groups(t, &list);
	text_str(t, "    <Contacts>\r\n");
	for (unsigned i = 0; i < list.n_contacts; i++)
		put_contact(t, &list.contacts[i], list.n_groups);
	text_str(t, "    </Contacts>\r\n  </HomedResource>\r\n");
}

int
write_dbimpexp(const struct crowd *crowd)
{
	struct text t = { 0 };

	fwrite("\xff\xfe", 1, 2, stdout);
	text_str(&t, "<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<HomedResources "
		     "xmlns=\"http://schemas.microsoft.com/RtcServer/2002/11/dbimpexp\">\r\n");
	for (unsigned n = 1; n <= crowd->users; n++) {
		put_user(&t, crowd, n);
		put_utf16le(&t);
		t.len = 0;
	}
	text_str(&t, "</HomedResources>\r\n");
	put_utf16le(&t);
	text_release(&t);
	return 0;
}
