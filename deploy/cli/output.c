#include "deploy/cli/output.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/document.h"

void output_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return;
	if (errno == EPIPE) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	fprintf(stderr, "uricast: cannot write to stdout: %s\n", strerror(errno));
	_exit(1);
}

static struct winsize terminal(void)
{
	struct winsize size = {0};

	if (isatty(STDOUT_FILENO))
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	return size;
}

size_t output_columns(void)
{
	size_t columns = terminal().ws_col;

	return columns == 0 && isatty(STDOUT_FILENO) ? 80 : columns;
}

size_t output_rows(void)
{
	size_t rows = terminal().ws_row;

	return rows == 0 && isatty(STDOUT_FILENO) ? 24 : rows;
}

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* C0, DEL, and C1 as UTF-8 has them. */
static bool is_control(const char *text, size_t length)
{
	unsigned char first = (unsigned char)text[0];

	return first < 0x20 || first == 0x7f ||
		(first == 0xc2 && length > 1 && (unsigned char)text[1] < 0xa0);
}

void output_text(FILE *stream, const char *text, size_t length, size_t columns_max)
{
	bool readable = document_utf8_valid(text, length);
	size_t characters = 0, shown = 0;

	for (size_t i = 0; i < length; i++)
		characters += !is_continuation(text[i]);
	for (size_t i = 0; i < length;) {
		size_t end = i + 1;

		while (end < length && is_continuation(text[end]))
			end++;
		if (columns_max && characters > columns_max && shown + 1 == columns_max) {
			fputs("…", stream);
			return;
		}
		if (text[i] == '\n' || text[i] == '\t')
			fputc(' ', stream);
		else if (is_control(text + i, end - i) ||
			(!readable && (unsigned char)text[i] >= 0x80))
			fputc('?', stream);
		else
			fwrite(text + i, 1, end - i, stream);
		shown++;
		i = end;
	}
}

size_t output_width(const char *text)
{
	size_t characters = 0;

	for (; *text; text++)
		characters += !is_continuation(*text);
	return characters;
}

void output_json_text(FILE *stream, const char *text)
{
	bool readable;

	text = text ? text : "";
	readable = document_utf8_valid(text, strlen(text));
	fputc('"', stream);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			fprintf(stream, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(stream, "\\u%04x", byte);
		else
			fputc(byte >= 0x80 && !readable ? '?' : byte, stream);
	}
	fputc('"', stream);
}

const char *output_age(char text[OUTPUT_AGE_SIZE], int64_t age_ms)
{
	int64_t seconds = age_ms / 1000;

	if (age_ms < 0)
		snprintf(text, OUTPUT_AGE_SIZE, "-");
	else if (seconds < 120)
		snprintf(text, OUTPUT_AGE_SIZE, "%" PRId64 "s", seconds);
	else if (seconds < 120 * 60)
		snprintf(text, OUTPUT_AGE_SIZE, "%" PRId64 "m", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(text, OUTPUT_AGE_SIZE, "%" PRId64 "h", seconds / 3600);
	else
		snprintf(text, OUTPUT_AGE_SIZE, "%" PRId64 "d", seconds / 86400);
	return text;
}

void output_say(const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	fputs("uricast: ", stderr);
	output_text(stderr, text, (size_t)length, 0);
	fputc('\n', stderr);
	free(text);
}
