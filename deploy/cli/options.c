#include "deploy/cli/options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_mistake.h"
#include "common/config_value.h"
#include "common/config_variable.h"
#include "common/memory.h"

#define WATCH (1u << COMMAND_WATCH)
#define GET (1u << COMMAND_GET)
#define STATUS (1u << COMMAND_STATUS)
#define DOCTOR (1u << COMMAND_DOCTOR)

#define FIELD(field) offsetof(struct options, field)
#define NAME_MAX_BYTES 64

/* One option. Where it says so, a variable URICAST_<OPTION> means the same. */
struct setting {
	const char *name;
	char letter;          /* 0: none */
	const char *argument; /* as --help shows it; NULL for a flag */
	const char *help;
	unsigned commands;
	bool variable;
	config_value_fn read;
	size_t field;
	size_t count; /* of a list of texts: offset of its length; else 0 */
};

static const struct setting settings[] = {
	{"gateway", 0, "URL", "Where the gateway is (default http://127.0.0.1:7070)",
		WATCH | GET, true, config_value_upstream, FIELD(gateway), 0},
	{"gateway", 0, "URL", "A gateway that should be reached, too", DOCTOR, true,
		config_value_upstream, FIELD(gateway), 0},
	{"token-file", 0, "FILE", "Show the gateway the first token in FILE",
		WATCH | GET | DOCTOR, true, config_value_path, FIELD(token_file), 0},
	{"redis", 0, "URL",
		"redis://[user:password@]host[:port][/db] or unix:/path (default "
		"redis://127.0.0.1:6379/0)",
		STATUS | DOCTOR, true, config_value_redis, FIELD(redis), 0},
	{"prefix", 0, "TEXT", "Begins every key in Redis (default uricast)",
		STATUS | DOCTOR, true, config_value_prefix, FIELD(prefix), 0},
	{"metrics", 0, "HOST:PORT",
		"The --metrics of a gateway or poller that should be reached, too; may "
		"be given several times",
		DOCTOR, false, config_value_listen, FIELD(metrics), FIELD(metrics_count)},
	{"patch", 0, NULL,
		"Print each change as an RFC 6902 patch, one a line; of one "
		"ADDRESS only",
		WATCH, false, config_value_flag, FIELD(patch), 0},
	{"json", 0, NULL, "Print each event as the gateway sent it, one a line", WATCH,
		false, config_value_flag, FIELD(json), 0},
	{"json", 0, NULL, "Print one JSON object", STATUS | DOCTOR, false,
		config_value_flag, FIELD(json), 0},
	{"count", 0, "N", "End after N events", WATCH, false, config_value_count,
		FIELD(count), 0},
	{"timeout", 0, "SECONDS", "End after this long", WATCH, false, config_value_span,
		FIELD(timeout_ms), 0},
	{"timeout", 0, "SECONDS", "Give up after this long (default 40)", GET, false,
		config_value_span, FIELD(timeout_ms), 0},
	{"interval", 0, "SECONDS", "Ask for a poll this often; the gateway has bounds",
		WATCH, false, config_value_interval, FIELD(interval_ms), 0},
	{"interval", 0, "SECONDS", "Between two looks of --watch (default 2)", STATUS,
		false, config_value_span, FIELD(interval_ms), 0},
	{"watch", 'w', NULL, "Look again and again, on a terminal", STATUS, false,
		config_value_flag, FIELD(watch), 0},
	{"limit", 0, "N", "Resources to list (default: what fits the terminal, else 20)",
		STATUS, false, config_value_count, FIELD(limit), 0},
	{"verbose", 'v', NULL, "Say state, age and version on stderr", GET, false,
		config_value_flag, FIELD(verbose), 0},
	{"verbose", 'v', NULL, "Name what is fine, too", DOCTOR, false, config_value_flag,
		FIELD(verbose), 0},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(*settings))

static const struct {
	const char *name;
	const char *summary;
	const char *arguments;
	size_t least, most; /* arguments */
	const char *text;   /* of --help, around its options */
} commands[COMMAND_COUNT] = {
	[COMMAND_WATCH] =
		{
			"watch",
			"print changes of resources as they come",
			"ADDRESS...",
			1,
			100,
			"Prints what ADDRESS is now and every change of it, as a gateway "
			"tells them, until it is stopped. A connection that is lost is "
			"made again, and goes on where it was.\v"
			"An option's variable stands in brackets; the option wins.\n\n"
			"Examples:\n"
			"  uricast watch /nodes\n"
			"  uricast watch '/nodes?bulk=1' /jobs --json | jq .version\n"
			"  uricast watch compute/dfw/servers --patch --count 2\n"
			"\nLeaves with 0; 2: wrong command line; 3: the gateway refuses "
			"an ADDRESS; 4: it refuses us; 5: --timeout came before --count.",
		},
	[COMMAND_GET] =
		{
			"get",
			"print a resource's content once",
			"ADDRESS",
			1,
			1,
			"Prints the content of ADDRESS, as a gateway has it or can get "
			"it.\v"
			"An option's variable stands in brackets; the option wins.\n\n"
			"Examples:\n"
			"  uricast get '/nodes?bulk=1' | jq length\n"
			"  uricast get -v compute/servers >/dev/null\n"
			"\nLeaves with 0: fresh content was printed; 1: content that "
			"could "
			"not be confirmed was printed; 2: wrong command line; 3: no "
			"content; 4: no gateway, or it refuses us.",
		},
	[COMMAND_STATUS] =
		{
			"status",
			"show the fleet: processes, resources, what is wrong with them",
			"[BEGINNING]",
			0,
			1,
			"Reads from Redis who is in the fleet, and how everything is "
			"that "
			"is watched, the worst first. With BEGINNING only addresses that "
			"begin so. Changes nothing.\v"
			"An option's variable stands in brackets; the option wins.\n\n"
			"Examples:\n"
			"  uricast status\n"
			"  uricast status compute/dfw --limit 100\n"
			"  uricast status --watch\n"
			"  uricast status --json | jq .summary\n"
			"\nLeaves with 0: it was read; 2: wrong command line; 4: no "
			"Redis, "
			"or it refuses us.",
		},
	[COMMAND_DOCTOR] =
		{
			"doctor",
			"find what is wrong with this machine, Redis or the fleet",
			"",
			0,
			0,
			"Looks at this machine, at Redis and at the fleet, and says what "
			"is wrong and how to mend it. Tries what uricast needs to do in "
			"Redis on a key and a channel of its own.\v"
			"An option's variable stands in brackets; the option wins.\n\n"
			"Examples:\n"
			"  uricast doctor --redis redis://uricast:secret@10.0.0.5\n"
			"  uricast doctor --gateway http://127.0.0.1:7070 "
			"--metrics 127.0.0.1:9107\n"
			"\nLeaves with 0: nothing found; 1: warnings; 2: wrong command "
			"line; 3: errors; 4: no Redis.",
		},
};

enum command command_find(const char *name)
{
	enum command command = 0;

	while (command < COMMAND_COUNT && strcmp(commands[command].name, name) != 0)
		command++;
	return command;
}

const char *command_name(enum command command)
{
	return commands[command].name;
}

const char *command_summary(enum command command)
{
	return commands[command].summary;
}

/* ---- reading ---- */

#define KEY_OPTION 0x1000 /* and the option's index; above every character */
enum { KEY_USAGE = 0x2000 };

struct reading {
	struct options *options;
	enum command command;
	bool given[SETTING_COUNT];
	bool answered;
	struct config_mistakes mistakes;
};

static char *help_with_variable(int key, const char *text, void *user)
{
	size_t index = (size_t)key - KEY_OPTION;

	(void)user;
	if (key < KEY_OPTION || index >= SETTING_COUNT || !settings[index].variable)
		return (char *)(uintptr_t)text;
	return config_variable_help(text, settings[index].name);
}

static void take(struct reading *reading, const struct setting *setting,
	const char *where, const char *text)
{
	char *base = (char *)reading->options, quoted[CONFIG_QUOTED_MAX];
	const char *wrong;

	if (setting->count)
		wrong = config_value_add(text, setting->read,
			(char ***)(base + setting->field),
			(size_t *)(base + setting->count));
	else
		wrong = setting->read(text, base + setting->field);
	if (wrong)
		config_mistake(&reading->mistakes, where, "%s %s",
			config_quote(quoted, text, strlen(text)), wrong);
}

static void take_variables(struct reading *reading)
{
	char variable[CONFIG_VARIABLE_SIZE];

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const char *value;

		if (reading->given[i] || !settings[i].variable ||
			!(settings[i].commands & 1u << reading->command))
			continue;
		value = getenv(config_variable_name(variable, settings[i].name));
		if (value && *value)
			take(reading, &settings[i], variable, value);
	}
}

static size_t setting_of(const struct reading *reading, int key)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (settings[i].letter == key && key != 0 &&
			settings[i].commands & 1u << reading->command)
			return i;
	}
	return (size_t)key - KEY_OPTION;
}

static error_t on_argument(int key, char *argument, struct argp_state *state)
{
	struct reading *reading = state->input;
	char where[NAME_MAX_BYTES];
	size_t index;

	switch (key) {
	case 'h':
		argp_state_help(state, stdout,
			ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC);
		reading->answered = true;
		return ECANCELED;
	case KEY_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE);
		reading->answered = true;
		return ECANCELED;
	case 'V':
		printf("uricast %s\n", URICAST_VERSION);
		reading->answered = true;
		return ECANCELED;
	case ARGP_KEY_ARG:
		config_value_add(argument, config_value_path,
			&reading->options->addresses, &reading->options->address_count);
		return 0;
	default:
		break;
	}
	index = setting_of(reading, key);
	if (index >= SETTING_COUNT)
		return ARGP_ERR_UNKNOWN;
	snprintf(where, sizeof(where), "--%s", settings[index].name);
	reading->given[index] = true;
	take(reading, &settings[index], where, argument ? argument : "true");
	return 0;
}

static void fill_argp_options(struct argp_option *filled, enum command command)
{
	size_t count = 0;

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (!(settings[i].commands & 1u << command))
			continue;
		filled[count++] = (struct argp_option){
			.name = settings[i].name,
			.key = settings[i].letter ? settings[i].letter
						  : KEY_OPTION + (int)i,
			.arg = settings[i].argument,
			.doc = settings[i].help,
		};
	}
	filled[count++] = (struct argp_option){
		.name = "help", .key = 'h', .doc = "Show this text", .group = -1};
	filled[count++] = (struct argp_option){
		.name = "usage", .key = KEY_USAGE, .flags = OPTION_HIDDEN, .group = -1};
	filled[count] = (struct argp_option){
		.name = "version", .key = 'V', .doc = "Show the version", .group = -1};
}

static void judge_together(struct reading *reading)
{
	const struct options *options = reading->options;
	enum command command = reading->command;

	if (options->address_count < commands[command].least)
		config_mistake(&reading->mistakes, "ADDRESS",
			"is missing; write for example: uricast %s /nodes",
			commands[command].name);
	else if (options->address_count > commands[command].most)
		config_mistake(&reading->mistakes,
			options->addresses[commands[command].most],
			"is one argument too many");
	if (options->patch && options->json)
		config_mistake(&reading->mistakes, "--patch",
			"and --json exclude each other; leave out one");
	if (options->patch && options->address_count > 1)
		config_mistake(&reading->mistakes, "--patch",
			"takes one ADDRESS: a patch does not say whose it is; --json "
			"does");
	if (options->watch && options->json)
		config_mistake(&reading->mistakes, "--watch",
			"is for people, --json for programs; leave out one");
}

static void set_defaults(struct options *options, enum command command)
{
	*options = (struct options){
		.redis = xstrdup("redis://127.0.0.1:6379/0"),
		.prefix = xstrdup("uricast"),
	};
	if (command == COMMAND_WATCH || command == COMMAND_GET)
		options->gateway = xstrdup("http://127.0.0.1:7070");
	if (command == COMMAND_GET)
		options->timeout_ms = 40000;
	if (command == COMMAND_STATUS)
		options->interval_ms = 2000;
}

enum options_outcome options_read(
	struct options *options, enum command command, int argc, char **argv)
{
	struct argp_option known[SETTING_COUNT + 4] = {0};
	struct argp argp = {
		.options = known,
		.parser = on_argument,
		.args_doc = commands[command].arguments,
		.doc = commands[command].text,
		.help_filter = help_with_variable,
	};
	char name[NAME_MAX_BYTES], *own_name = argv[0];
	struct reading reading = {.options = options, .command = command};
	error_t error;

	snprintf(name, sizeof(name), "uricast %s", commands[command].name);
	reading.mistakes.program = name;
	argv[0] = name; /* in what argp says */
	set_defaults(options, command);
	fill_argp_options(known, command);
	error = argp_parse(
		&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT, NULL, &reading);
	argv[0] = own_name;
	if (!error) {
		take_variables(&reading);
		judge_together(&reading);
	}
	if (!error && reading.mistakes.count == 0)
		return OPTIONS_OK;
	options_fini(options);
	return reading.answered ? OPTIONS_ANSWERED : OPTIONS_WRONG;
}

void options_fini(struct options *options)
{
	free(options->gateway);
	free(options->token_file);
	free(options->redis);
	free(options->prefix);
	config_texts_free(options->metrics, options->metrics_count);
	config_texts_free(options->addresses, options->address_count);
}
