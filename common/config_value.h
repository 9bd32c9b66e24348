#pragma once

/*
 * Values of the configuration: from their text, be it of an option, a variable or a
 * member of the file, to a field.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Reads @text into @field, whose type the table below names. A text in the field is
 * replaced, so it must be NULL or from malloc().
 *
 * Returns NULL, or what is wrong with the value and how to mend it, fit to follow the
 * value in a sentence; @field is then untouched.
 */
typedef const char *(*config_value_fn)(const char *text, void *field);

/* Into char *. */
const char *config_value_path(const char *text, void *field);
const char *config_value_redis(const char *text, void *field);
const char *config_value_prefix(const char *text, void *field);
const char *config_value_listen(const char *text, void *field);
const char *config_value_origin(const char *text, void *field);
const char *config_value_network(const char *text, void *field);
const char *config_value_upstream(const char *text, void *field); /* any base URL */
const char *config_value_uri(const char *text, void *field);
const char *config_value_item(const char *text, void *field); /* a URI with {id} */
const char *config_value_pointer(const char *text, void *field);
const char *config_value_identity(const char *text, void *field);

/* Into uint32_t; durations in milliseconds. */
const char *config_value_lease(const char *text, void *field);
const char *config_value_drain(const char *text, void *field);
const char *config_value_interval(const char *text, void *field);
const char *config_value_timeout(const char *text, void *field);
const char *config_value_span(const char *text, void *field);  /* of any command */
const char *config_value_count(const char *text, void *field); /* of anything */
const char *config_value_concurrency(const char *text, void *field);
const char *config_value_addresses(const char *text, void *field);
const char *config_value_clients(const char *text, void *field);
const char *config_value_subscriptions(const char *text, void *field);
const char *config_value_message(const char *text, void *field);
const char *config_value_messages(const char *text, void *field);

const char *config_value_body(const char *text, void *field); /* into size_t, bytes */
const char *config_value_rate(
	const char *text, void *field); /* into double, per second */
const char *config_value_flag(const char *text, void *field); /* into bool */
const char *config_value_log_format(
	const char *text, void *field); /* into bool: whether it is JSON */

/* Into struct log_levels. */
const char *config_value_log_level(const char *text, void *field);

/** Reads @text by @read and adds it to a list of texts. Returns as @read does. */
const char *config_value_add(
	const char *text, config_value_fn read, char ***texts, size_t *count);

void config_texts_free(char **texts, size_t count);

/** Whether @text can name a service, a region or a resource type. */
bool config_is_name(const char *text);

/** Writes a duration as one would in the configuration: "5s", "1.5s", "250ms". */
const char *config_duration_text(char *buffer, size_t size, uint32_t ms);
