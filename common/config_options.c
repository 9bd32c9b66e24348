#include "common/config_options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_value.h"
#include "common/config_variable.h"
#include "common/memory.h"

#define GATEWAY (1u << CONFIG_GATEWAY)
#define POLLER (1u << CONFIG_POLLER)
#define BOTH (GATEWAY | POLLER)

enum option_group {
	GROUP_NETWORK = 1,
	GROUP_UPSTREAM,
	GROUP_CLIENTS,
	GROUP_DRAIN,
	GROUP_FLEET,
	GROUP_PROCESS,
	GROUP_COUNT,
};

/* One option, and the variable URICAST_<OPTION> that means the same. */
struct setting {
	const char *name;
	const char *argument; /* as --help shows it; NULL for a flag */
	const char *help;
	unsigned programs;
	enum option_group group;
	bool repeats; /* a list of texts; a variable's are separated by spaces or commas
		       */
	config_value_fn read;
	size_t field; /* offset in the draft; of char ** for a list */
	size_t count; /* of a list: offset of its length */
};

#define FIELD(field) offsetof(struct config_draft, field)

static const struct setting settings[] = {
	{"listen", "HOST:PORT", "Where clients connect (default 127.0.0.1:7070)", GATEWAY,
		GROUP_NETWORK, false, config_value_listen, FIELD(config.listen), 0},
	{"redis", "URL",
		"redis://[user:password@]host[:port][/db] or unix:/path (default "
		"redis://127.0.0.1:6379/0)",
		BOTH, GROUP_NETWORK, false, config_value_redis, FIELD(config.redis), 0},
	{"metrics", "HOST:PORT",
		"Serve /metrics, /healthz and /readyz there (default: nowhere)", BOTH,
		GROUP_NETWORK, false, config_value_listen, FIELD(config.metrics_listen),
		0},
	{"upstream", "URL",
		"The API to poll: http(s)://host[:port][/path]. Addresses are URIs below "
		"it",
		POLLER, GROUP_UPSTREAM, false, config_value_upstream, FIELD(upstream.url),
		0},
	{"interval", "SECONDS",
		"Time between two polls of a resource; fractions and 250ms, 5s, 10m are "
		"fine "
		"(default 5)",
		POLLER, GROUP_UPSTREAM, false, config_value_interval, FIELD(interval_ms),
		0},
	{"insecure", NULL, "Do not verify the upstream's TLS certificate", POLLER,
		GROUP_UPSTREAM, false, config_value_flag, FIELD(insecure), 0},
	{"ca", "FILE", "Verify the upstream by the CA certificates in FILE", POLLER,
		GROUP_UPSTREAM, false, config_value_path, FIELD(upstream.tls_ca), 0},
	{"ignore", "POINTER",
		"Changes there do not count, for example /servers/*/updated; may be "
		"given "
		"several times",
		POLLER, GROUP_UPSTREAM, true, config_value_pointer,
		FIELD(upstream.ignore), FIELD(upstream.ignore_count)},
	{"identity", "NAME",
		"The member that tells rows of an array apart (default: id, uuid or "
		"name)",
		POLLER, GROUP_UPSTREAM, false, config_value_identity,
		FIELD(upstream.identity), 0},
	{"timeout", "SECONDS", "Give up on an answer after this long (default 10)",
		POLLER, GROUP_UPSTREAM, false, config_value_timeout,
		FIELD(upstream.limits.timeout_ms), 0},
	{"body-max", "SIZE", "Refuse longer answers, decoded (default 8MiB)", POLLER,
		GROUP_UPSTREAM, false, config_value_body,
		FIELD(upstream.limits.body_max_bytes), 0},
	{"concurrency", "N", "Requests at once to the upstream (default 16)", POLLER,
		GROUP_UPSTREAM, false, config_value_concurrency,
		FIELD(upstream.limits.concurrency), 0},
	{"token-file", "FILE",
		"Ask every client for one of the bearer tokens in FILE (default: ask "
		"nobody)",
		GATEWAY, GROUP_CLIENTS, false, config_value_path,
		FIELD(config.token_file), 0},
	{"origin", "ORIGIN",
		"Let browsers in from pages of ORIGIN too, for example "
		"https://panel.example.com; may be given several times (default: the "
		"gateway's own only)",
		GATEWAY, GROUP_CLIENTS, true, config_value_origin, FIELD(config.origins),
		FIELD(config.origin_count)},
	{"trusted-proxy", "CIDR",
		"Believe proxies with such an address when they say, in X-Forwarded-For "
		"or "
		"Forwarded, whose request it is, for example 10.0.0.0/8; may be given "
		"several times (default: nobody)",
		GATEWAY, GROUP_CLIENTS, true, config_value_network,
		FIELD(config.trusted_proxies), FIELD(config.trusted_proxy_count)},
	{"drain-delay", "SECONDS",
		"Before that fail /readyz and go on serving for this long, so that load "
		"balancers notice (default 0)",
		GATEWAY, GROUP_DRAIN, false, config_value_drain,
		FIELD(config.drain.delay_ms), 0},
	{"drain", "SECONDS",
		"Send clients away evenly over this long; 0: all at once (default 5)",
		GATEWAY, GROUP_DRAIN, false, config_value_drain,
		FIELD(config.drain.spread_ms), 0},
	{"prefix", "TEXT", "Begins every key in Redis (default uricast)", BOTH,
		GROUP_FLEET, false, config_value_prefix, FIELD(config.prefix), 0},
	{"lease", "SECONDS",
		"A process silent for this long counts as dead; the same in the whole "
		"fleet "
		"(default 3)",
		BOTH, GROUP_FLEET, false, config_value_lease, FIELD(config.lease_ms), 0},
	{"config", "PATH",
		"Read the file PATH first, or every *.json of the directory PATH; "
		"options "
		"and variables win over it",
		BOTH, GROUP_PROCESS, false, config_value_path, FIELD(config.file), 0},
	{"log-level", "LEVEL",
		"error, warn, info or debug, and for parts of the program as in "
		"info,relay=debug (default info)",
		BOTH, GROUP_PROCESS, false, config_value_log_level,
		FIELD(config.log_levels), 0},
	{"log-format", "FORMAT", "Lines of the log as text or json (default text)", BOTH,
		GROUP_PROCESS, false, config_value_log_format, FIELD(config.log_json), 0},
	{"check-config", NULL,
		"Say what the configuration means, or what is wrong, and leave", BOTH,
		GROUP_PROCESS, false, config_value_flag, FIELD(check_only), 0},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(*settings))

static const char *const group_titles[] = {
	[GROUP_NETWORK] = "Where to connect:",
	[GROUP_UPSTREAM] = "One upstream (several are described in a --config file):",
	[GROUP_CLIENTS] = "Who may connect:",
	[GROUP_DRAIN] = "When it is told to stop (SIGTERM):",
	[GROUP_FLEET] = "The same for all processes of a fleet:",
	[GROUP_PROCESS] = "This process:",
};

static const char *const program_names[] = {
	[CONFIG_GATEWAY] = "uricast-gateway",
	[CONFIG_POLLER] = "uricast-poller",
};

static const char *const program_texts[] = {
	[CONFIG_GATEWAY] = "Serves clients: they subscribe to the URIs of an HTTP "
			   "API over WebSocket, "
			   "SSE or long-polling, and get every change pushed.\v"
			   "Every option may also be given by the environment variable "
			   "named in brackets; "
			   "options win over variables, variables over the file.\n\n"
			   "Example:\n"
			   "  uricast-gateway --listen 0.0.0.0:7070 --redis "
			   "redis://127.0.0.1:6379/0",
	[CONFIG_POLLER] = "Polls an HTTP API for what clients of the gateways watch, "
			  "once per interval "
			  "by the whole fleet, and publishes every change.\v"
			  "Every option may also be given by the environment variable "
			  "named in brackets; "
			  "options win over variables, variables over the file.\n\n"
			  "Example:\n"
			  "  uricast-poller --redis redis://127.0.0.1:6379/0 \\\n"
			  "      --upstream https://api.example.com/v2 --interval 5",
};

/* ---- what was given ---- */

/* Texts given for each option, by the command line or else the environment. */
struct given {
	char **texts;
	size_t count;
	char where[CONFIG_VARIABLE_SIZE]; /* "--redis" or "URICAST_REDIS" */
};

struct options {
	enum config_program program;
	struct config_mistakes *mistakes; /* while reading only */
	bool answered;                    /* --help or --version */
	struct given given[SETTING_COUNT];
};

static void add_given(struct given *given, const char *text, size_t length)
{
	given->texts =
		xreallocarray(given->texts, given->count + 1, sizeof(*given->texts));
	given->texts[given->count++] = xstrndup(text, length);
}

/* Takes the variable of an option that the command line leaves out. Empty means unset. */
static void read_variable(const struct setting *setting, struct given *given)
{
	static const char separators[] = " ,\t\n";
	char variable[CONFIG_VARIABLE_SIZE];
	const char *value = getenv(config_variable_name(variable, setting->name));

	if (given->count > 0 || !value)
		return;
	strcpy(given->where, variable);
	if (!setting->repeats) {
		if (*value)
			add_given(given, value, strlen(value));
		return;
	}
	for (value += strspn(value, separators); *value;
		value += strspn(value, separators)) {
		size_t length = strcspn(value, separators);

		add_given(given, value, length);
		value += length;
	}
}

/* ---- the command line ---- */

#define KEY_OPTION 0x1000 /* and the option's index; above every character */
enum { KEY_USAGE = 0x2000 };

static char *help_with_variable(int key, const char *text, void *user)
{
	(void)user;
	if (key < KEY_OPTION || key >= (int)(KEY_OPTION + SETTING_COUNT) || !text)
		return (char *)text;
	return config_variable_help(text, settings[key - KEY_OPTION].name);
}

static error_t answer(struct options *options)
{
	options->answered = true;
	return ECANCELED;
}

static error_t on_argument(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;
	size_t option = (size_t)(key - KEY_OPTION);

	switch (key) {
	case 'h':
		argp_state_help(state, stdout,
			ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC);
		return answer(options);
	case KEY_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE);
		return answer(options);
	case 'V':
		printf("%s %s\n", program_names[options->program], URICAST_VERSION);
		return answer(options);
	case ARGP_KEY_ARG:
		config_mistake(options->mistakes, argument,
			"is not an option; every setting is one, see --help");
		return EINVAL;
	default:
		break;
	}
	if (key < KEY_OPTION || option >= SETTING_COUNT)
		return ARGP_ERR_UNKNOWN;
	argument = argument ? argument : "true";
	add_given(&options->given[option], argument, strlen(argument));
	sprintf(options->given[option].where, "--%s", settings[option].name);
	return 0;
}

/* argp's form of our table: a title and the options of each group, for one program. */
static void fill_argp_options(struct argp_option *filled, enum config_program program)
{
	size_t count = 0;
	int group = 0;

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (!(settings[i].programs & 1u << program))
			continue;
		if (group != (int)settings[i].group) {
			group = (int)settings[i].group;
			filled[count++] = (struct argp_option){
				.doc = group_titles[group], .group = group};
		}
		filled[count++] = (struct argp_option){
			.name = settings[i].name,
			.key = KEY_OPTION + (int)i,
			.arg = settings[i].argument,
			.doc = settings[i].help,
			.group = group,
		};
	}
	filled[count++] = (struct argp_option){
		.name = "help", .key = 'h', .doc = "Show this text", .group = group};
	filled[count++] = (struct argp_option){.name = "usage",
		.key = KEY_USAGE,
		.flags = OPTION_HIDDEN,
		.group = group};
	filled[count] = (struct argp_option){
		.name = "version", .key = 'V', .doc = "Show the version", .group = group};
}

/* Whether argp takes @word, --NAME or --NAME=VALUE, be it abbreviated. */
static bool is_known_word(
	const struct argp_option *known, const char *word, size_t length)
{
	for (; known->name || known->doc; known++) {
		if (known->name && strncmp(known->name, word, length) == 0)
			return true;
	}
	return false;
}

/* After argp has said that it does not know an option: which one may have been meant. */
static void suggest_option(const struct argp_option *known, const char *argument)
{
	struct config_nearest nearest = {0};
	const char *word;
	char *name;

	if (strncmp(argument, "--", 2) != 0)
		return;
	word = argument + 2;
	if (is_known_word(known, word, strcspn(word, "=")))
		return;
	name = xstrdup(word);
	name[strcspn(name, "=")] = '\0';
	nearest.wrong = name;
	for (; known->name || known->doc; known++) {
		if (known->name)
			config_nearest_try(&nearest, known->name);
	}
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(settings[i].name, name) == 0)
			fprintf(stderr, "--%s is an option of %s\n", name,
				program_names[settings[i].programs == POLLER]);
	}
	if (nearest.name)
		fprintf(stderr, "Did you mean --%s?\n", nearest.name);
	free(name);
}

static void read_arguments(struct options *options, int argc, char **argv)
{
	/* Titles, --help, --usage, --version and the end come on top. */
	struct argp_option known[SETTING_COUNT + GROUP_COUNT + 4] = {0};
	struct argp argp = {
		.options = known,
		.parser = on_argument,
		.doc = program_texts[options->program],
		.help_filter = help_with_variable,
	};
	error_t error;

	fill_argp_options(known, options->program);
	error = argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT, NULL, options);
	if (!error || options->answered || options->mistakes->count > 0)
		return;
	options->mistakes->count++; /* argp has said it */
	for (int i = 1; i < argc; i++)
		suggest_option(known, argv[i]);
}

/* ---- into the draft ---- */

static void apply_text(struct config_draft *draft, const struct setting *setting,
	const struct given *given, const char *text)
{
	char *base = (char *)draft, quoted[CONFIG_QUOTED_MAX];
	const char *wrong;

	if (setting->repeats)
		wrong = config_value_add(text, setting->read,
			(char ***)(base + setting->field),
			(size_t *)(base + setting->count));
	else
		wrong = setting->read(text, base + setting->field);
	if (wrong)
		config_mistake(&draft->mistakes, given->where, "%s %s",
			config_quote(quoted, text, strlen(text)), wrong);
}

static void apply(struct config_draft *draft, const struct setting *setting,
	const struct given *given)
{
	char *base = (char *)draft;

	if (setting->repeats && given->count > 0) {
		config_texts_free(*(char ***)(base + setting->field),
			*(size_t *)(base + setting->count));
		*(char ***)(base + setting->field) = NULL;
		*(size_t *)(base + setting->count) = 0;
	}
	for (size_t i = 0; i < given->count; i++)
		apply_text(draft, setting, given, given->texts[i]);
}

struct options *options_read(
	struct config_draft *draft, int argc, char **argv, bool *answered)
{
	struct options *options = xcalloc(1, sizeof(*options));

	options->program = draft->config.program;
	options->mistakes = &draft->mistakes;
	read_arguments(options, argc, argv);
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (settings[i].programs & 1u << options->program)
			read_variable(&settings[i], &options->given[i]);
	}
	*answered = options->answered;
	return options;
}

void options_apply_file(const struct options *options, struct config_draft *draft)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (settings[i].field == FIELD(config.file))
			apply(draft, &settings[i], &options->given[i]);
	}
}

void options_apply(const struct options *options, struct config_draft *draft)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (settings[i].field != FIELD(config.file))
			apply(draft, &settings[i], &options->given[i]);
	}
}

void options_refuse_upstream(const struct options *options, struct config_draft *draft)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct given *given = &options->given[i];

		if (settings[i].group == GROUP_UPSTREAM && given->count > 0)
			config_mistake(&draft->mistakes, given->where,
				"cannot be joined with the services in %s; set it there, "
				"or "
				"leave out one of the two",
				draft->config.file);
	}
}

void options_free(struct options *options)
{
	if (!options)
		return;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		config_texts_free(options->given[i].texts, options->given[i].count);
	free(options);
}

const char *options_program_name(enum config_program program)
{
	return program_names[program];
}
