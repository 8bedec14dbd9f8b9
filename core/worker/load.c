#include "core/base/base.h"
#include "core/base/json.h"
#include "core/worker/load.h"
#include "core/worker/protocol.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* No versioned struct may end in padding: an old binary's padding would be read as
 * a new field. */
#define ENDS_WITH(type, field) \
	(offsetof(type, field) + sizeof(((type *)NULL)->field) == sizeof(type))
static_assert(ENDS_WITH(struct resite_param, max), "padding");
static_assert(ENDS_WITH(struct resite_action, revert), "padding");
static_assert(ENDS_WITH(struct resite_plugin, n_actions), "padding");
static_assert(ENDS_WITH(struct resite_host, memory), "padding");

/* The sizes of this draft, the smallest that a plugin can have. */
enum {
	PLUGIN_SIZE_MIN = sizeof(struct resite_plugin),
	ACTION_SIZE_MIN = sizeof(struct resite_action),
	PARAM_SIZE_MIN = sizeof(struct resite_param),
	SIZE_SANE = 4096,
	ACTIONS_SANE = 1000,
	MAJORS_KNOWN = 10, /* how far to look for the reason of a missing symbol */
};

static const struct {
	int32_t type;
	const char *name;
} type_names[] = {
	{RESITE_T_STRING, "string"}, {RESITE_T_BOOL, "bool"}, {RESITE_T_INT, "int"},
	{RESITE_T_DURATION, "duration"}, {RESITE_T_ENUM, "enum"}, {RESITE_T_DOMAIN, "domain"},
	{RESITE_T_ENDPOINT, "endpoint"}, {RESITE_T_URL, "url"}, {RESITE_T_PATH, "path"},
	{RESITE_T_SIZE, "size"}, {RESITE_T_SECRET, "secret"},
};

static const struct {
	uint64_t flag;
	const char *name;
} flag_names[] = {
	{RESITE_ACT_READONLY, "readonly"},
	{RESITE_ACT_REVERSIBLE, "reversible"},
	{RESITE_ACT_CARRIES, "carries"},
	{RESITE_ACT_NOTIFY, "notify"},
};

static const char *
type_name(int32_t type)
{
	for (size_t i = 0; i < COUNT_OF(type_names); i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return NULL;
}

/* --- reading by size and stride ------------------------------------------------ */

static void
copy_sized(void *to, size_t to_size, const void *from, size_t from_size)
{
	memset(to, 0, to_size);
	memcpy(to, from, from_size < to_size ? from_size : to_size);
}

void
plugin_action(const struct resite_plugin *plugin, uint64_t i, struct resite_action *ret)
{
	copy_sized(ret, sizeof(*ret), (const char *)plugin->actions + i * plugin->action_size,
		   plugin->action_size);
}

bool
plugin_param(const struct resite_plugin *plugin, const struct resite_action *action,
	     size_t i, struct resite_param *ret)
{
	if (!action->params)
		return false;
	copy_sized(ret, sizeof(*ret), (const char *)action->params + i * plugin->param_size,
		   plugin->param_size);
	return ret->name != NULL;
}

bool
plugin_find_action(const struct resite_plugin *plugin, const char *name,
		   struct resite_action *ret)
{
	for (uint64_t i = 0; i < plugin->n_actions; i++) {
		plugin_action(plugin, i, ret);
		if (!strcmp(ret->name, name))
			return true;
	}
	return false;
}

/* --- checking ------------------------------------------------------------------ */

static bool
is_name(const char *s, const char *more)
{
	if (!s || *s < 'a' || *s > 'z')
		return false;
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && !strchr(more, *s))
			return false;
	return true;
}

static int
check_param(const struct resite_param *p, const char *action, struct error *err)
{
	if (!is_name(p->name, "_"))
		return error_set(err, E_INVALID, "action %s: \"%.64s\" is no parameter's name",
				 action, p->name);
	if (!type_name(p->type))
		return error_set(err, E_INVALID, "parameter %s.%s has the unknown type %d",
				 action, p->name, (int)p->type);
	if (p->type == RESITE_T_ENUM && (!p->choices || !p->choices[0]))
		return error_set(err, E_INVALID, "parameter %s.%s is an enum without choices",
				 action, p->name);
	return 0;
}

static int
check_action(const struct resite_plugin *plugin, const struct resite_action *act,
	     struct error *err)
{
	struct resite_param p;
	int r = 0;

	if (!is_name(act->name, "-_"))
		return error_set(err, E_INVALID, "\"%.64s\" is no action's name",
				 act->name ? act->name : "");
	if (!act->probe && !act->apply && !act->verify)
		return error_set(err, E_INVALID, "action %s does nothing: no probe, apply or verify",
				 act->name);
	if ((act->flags & RESITE_ACT_READONLY) && (act->apply || act->revert))
		return error_set(err, E_INVALID, "action %s is read-only but has apply or revert",
				 act->name);
	if ((act->flags & RESITE_ACT_REVERSIBLE) && !act->revert)
		return error_set(err, E_INVALID, "action %s is reversible but has no revert",
				 act->name);
	for (size_t i = 0; r == 0 && plugin_param(plugin, act, i, &p); i++)
		r = check_param(&p, act->name, err);
	return r;
}

static int
check_sizes(const struct resite_plugin *p, struct error *err)
{
	if (p->struct_size < PLUGIN_SIZE_MIN || p->struct_size > SIZE_SANE ||
	    p->action_size < ACTION_SIZE_MIN || p->action_size > SIZE_SANE ||
	    p->param_size < PARAM_SIZE_MIN || p->param_size > SIZE_SANE)
		return error_set(err, E_INVALID, "malformed descriptor (sizes %u, %u, %u): build it "
				 "again with this resite's <resite/plugin.h>",
				 p->struct_size, p->action_size, p->param_size);
	return 0;
}

static int
check_abi(const struct resite_plugin *p, struct error *err)
{
	if (p->magic != RESITE_ABI_MAGIC)
		return error_set(err, E_INVALID, "not a resite plugin: its descriptor has the magic "
				 "number 0x%08x instead of 0x%08x", p->magic, RESITE_ABI_MAGIC);
	if (p->abi_major != RESITE_ABI_MAJOR)
		return error_set(err, E_INVALID, "built for plugin ABI %u, this resite has ABI %d: %s",
				 p->abi_major, RESITE_ABI_MAJOR,
				 p->abi_major > RESITE_ABI_MAJOR ? "upgrade resite"
								 : "upgrade the plugin");
	/* A draft may change anything but what stands before this field. */
	if (RESITE_ABI_MAJOR == 0 && p->abi_minor != RESITE_ABI_MINOR)
		return error_set(err, E_INVALID, "built against draft %u of the plugin ABI, this "
				 "resite is draft %d: rebuild it", p->abi_minor, RESITE_ABI_MINOR);
	if (p->needs_minor > RESITE_ABI_MINOR)
		return error_set(err, E_INVALID, "needs plugin ABI %u.%u, this resite has %d.%d: "
				 "upgrade resite", p->abi_major, p->needs_minor,
				 RESITE_ABI_MAJOR, RESITE_ABI_MINOR);
	return 0;
}

/* NAME of …/NAME.so must be the plugin's own: a plan's `does` finds a file by it. */
static int
check_file_name(const char *path, const char *name, struct error *err)
{
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
	size_t len = strlen(name);

	if (!strncmp(file, name, len) && !strcmp(file + len, ".so"))
		return 0;
	return error_set(err, E_INVALID, "the plugin in it is named \"%s\": rename the file to %s.so",
			 name, name);
}

static int
check_plugin(const char *path, const struct resite_plugin *p, struct error *err)
{
	struct resite_action act;
	int r = check_sizes(p, err);

	if (r < 0)
		return r;
	if (!is_name(p->name, "-") || !p->version || !p->summary)
		return error_set(err, E_INVALID,
				 "malformed descriptor: name, version and summary are needed");
	if ((r = check_file_name(path, p->name, err)) < 0)
		return r;
	if (p->needs && p->needs[0])
		return error_set(err, E_INVALID,
				 "needs the extension %s, which this resite does not have: "
				 "upgrade resite", p->needs[0]);
	if (!p->actions || p->n_actions == 0 || p->n_actions > ACTIONS_SANE)
		return error_set(err, E_INVALID, "has no actions");
	for (uint64_t i = 0; r == 0 && i < p->n_actions; i++) {
		plugin_action(p, i, &act);
		r = check_action(p, &act, err);
	}
	return r;
}

/* Why the symbol is missing: perhaps another major has it. */
static int
explain_no_symbol(void *lib, struct error *err)
{
	char symbol[32];

	for (int major = 0; major < MAJORS_KNOWN; major++) {
		snprintf(symbol, sizeof(symbol), "resite_plugin_v%d", major);
		if (major != RESITE_ABI_MAJOR && dlsym(lib, symbol))
			return error_set(err, E_INVALID,
					 "built for plugin ABI %d, this resite has ABI %d: %s",
					 major, RESITE_ABI_MAJOR,
					 major > RESITE_ABI_MAJOR ? "upgrade resite"
								  : "upgrade the plugin");
	}
	return error_set(err, E_INVALID, "not a resite plugin: it has no symbol %s",
			 RESITE_PLUGIN_SYMBOL);
}

int
plugin_load(const char *path, struct resite_plugin *ret_plugin, struct error *err)
{
	const struct resite_plugin *p;
	struct resite_plugin copy;
	resite_plugin_v0_fn *get;
	void *lib;
	int r;

	/* NOW: a lazily bound symbol would be resolved, and its page copied, again in
	 * every attempt. */
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return error_set(err, E_INVALID, "cannot be loaded: %s", dlerror());
	*(void **)&get = dlsym(lib, RESITE_PLUGIN_SYMBOL);
	if (!get)
		return explain_no_symbol(lib, err);
	p = get();
	if (!p)
		return error_set(err, E_INVALID, "not a resite plugin: it has no descriptor");
	/* magic and the majors come first and never move; only then may the rest be read. */
	if ((r = check_abi(p, err)) < 0)
		return r;
	copy_sized(&copy, sizeof(copy), p, p->struct_size);
	if ((r = check_plugin(path, &copy, err)) < 0)
		return r;
	*ret_plugin = copy;
	return 0;
}

/* --- hello --------------------------------------------------------------------- */

static void
write_names(struct strbuf *sb, const char *key, const char *const *names)
{
	strbuf_addf(sb, ",\"%s\":[", key);
	for (size_t i = 0; names && names[i]; i++) {
		if (i > 0)
			strbuf_addch(sb, ',');
		json_write_string(sb, names[i]);
	}
	strbuf_addch(sb, ']');
}

static void
write_member(struct strbuf *sb, const char *key, const char *text)
{
	strbuf_addf(sb, ",\"%s\":", key);
	json_write_string(sb, text ? text : "");
}

static void
write_param(struct strbuf *sb, const struct resite_param *p)
{
	strbuf_addstr(sb, "{\"name\":");
	json_write_string(sb, p->name);
	write_member(sb, "summary", p->summary);
	write_member(sb, "type", type_name(p->type));
	strbuf_addf(sb, ",\"required\":%s,\"repeated\":%s",
		    p->flags & RESITE_PARAM_REQUIRED ? "true" : "false",
		    p->flags & RESITE_PARAM_REPEATED ? "true" : "false");
	if (p->def)
		write_member(sb, "default", p->def);
	if (p->choices)
		write_names(sb, "choices", p->choices);
	if (p->min != 0 || p->max != 0)
		strbuf_addf(sb, ",\"min\":%" PRId64 ",\"max\":%" PRId64, p->min, p->max);
	strbuf_addch(sb, '}');
}

static void
write_action(struct strbuf *sb, const struct resite_plugin *plugin,
	     const struct resite_action *act)
{
	const char *flags[COUNT_OF(flag_names) + 1] = {0}, *has[6] = {0};
	struct resite_param p;
	size_t n = 0, h = 0;

	for (size_t i = 0; i < COUNT_OF(flag_names); i++)
		if (act->flags & flag_names[i].flag)
			flags[n++] = flag_names[i].name;
	if (act->check)
		has[h++] = "check";
	if (act->probe)
		has[h++] = "probe";
	if (act->apply)
		has[h++] = "apply";
	if (act->verify)
		has[h++] = "verify";
	if (act->revert)
		has[h++] = "revert";
	strbuf_addstr(sb, "{\"name\":");
	json_write_string(sb, act->name);
	write_member(sb, "summary", act->summary);
	write_names(sb, "flags", flags);
	strbuf_addf(sb, ",\"timeout_ms\":%" PRId64 ",\"params\":[", act->default_timeout_ms);
	for (size_t i = 0; plugin_param(plugin, act, i, &p); i++) {
		if (i > 0)
			strbuf_addch(sb, ',');
		write_param(sb, &p);
	}
	strbuf_addch(sb, ']');
	write_names(sb, "outputs", act->outputs);
	write_names(sb, "has", has);
	strbuf_addch(sb, '}');
}

void
plugin_write_hello(struct strbuf *sb, const struct resite_plugin *plugin)
{
	struct resite_action act;

	strbuf_addf(sb, "{\"kind\":\"hello\",\"protocol\":%d,\"abi\":[%u,%u],\"plugin\":{\"name\":",
		    PROTOCOL_VERSION, plugin->abi_major, plugin->abi_minor);
	json_write_string(sb, plugin->name);
	write_member(sb, "version", plugin->version);
	write_member(sb, "summary", plugin->summary);
	strbuf_addstr(sb, ",\"actions\":[");
	for (uint64_t i = 0; i < plugin->n_actions; i++) {
		plugin_action(plugin, i, &act);
		if (i > 0)
			strbuf_addch(sb, ',');
		write_action(sb, plugin, &act);
	}
	strbuf_addstr(sb, "]}}\n");
}
