/* Lines of the log as JSON objects, for who collects logs. */
#include "common/log.h"

#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "common/document.h"

/* JSON is UTF-8; what an upstream or a client sent, or what was cut, may not be. */
static struct json_object *message_object(const char *message, size_t length)
{
	char text[LOG_LINE_MAX];

	memcpy(text, message, length);
	if (!document_utf8_valid(text, length))
		for (size_t i = 0; i < length; i++)
			if ((unsigned char)text[i] >= 0x80)
				text[i] = '?';
	return json_object_new_string_len(text, (int)length);
}

static size_t write_line(char *line, const struct log_record *record, size_t length)
{
	struct json_object *object = json_object_new_object();
	char time[32];
	const char *text;
	size_t size;

	log_time_text(time, &record->time);
	json_object_object_add(object, "time", json_object_new_string(time));
	json_object_object_add(
		object, "level", json_object_new_string(log_level_name(record->level)));
	json_object_object_add(
		object, "program", json_object_new_string(record->program));
	json_object_object_add(object, "pid", json_object_new_int64(getpid()));
	json_object_object_add(object, "subsystem",
		json_object_new_string_len(
			record->subsystem, (int)record->subsystem_length));
	json_object_object_add(
		object, "message", message_object(record->message, length));
	text = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
	if (size < LOG_LINE_MAX) {
		memcpy(line, text, size);
		line[size++] = '\n';
	} else {
		size = 0;
	}
	json_object_put(object);
	return size;
}

size_t log_line_json(char *line, const struct log_record *record)
{
	size_t length = record->length, size;

	/* Escapes make it longer: what does not fit is cut, and stays an object. */
	while ((size = write_line(line, record, length)) == 0)
		length /= 2;
	return size;
}
