#include "core/base/base.h"
#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
clock_read_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_mono_ms(void)
{
	return clock_read_ms(CLOCK_MONOTONIC);
}

int64_t
clock_wall_ms(void)
{
	return clock_read_ms(CLOCK_REALTIME);
}

const char *
clock_format_utc(int64_t wall_ms, char buf[CLOCK_TEXT_MAX])
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(buf, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, CLOCK_TEXT_MAX - n, ".%03dZ", (int)(wall_ms % 1000));
	return buf;
}

static int
number(const char *digits, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++)
		value = value * 10 + digits[i] - '0';
	return value;
}

int64_t
clock_parse_utc(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
	struct tm tm;

	/* Every event of a journal is read by this: no strptime. */
	for (size_t i = 0; i < sizeof(form); i++)
		if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return -1;
	tm = (struct tm){
		.tm_year = number(text, 4) - 1900,
		.tm_mon = number(text + 5, 2) - 1,
		.tm_mday = number(text + 8, 2),
		.tm_hour = number(text + 11, 2),
		.tm_min = number(text + 14, 2),
		.tm_sec = number(text + 17, 2),
	};
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -1;
	return (int64_t)timegm(&tm) * 1000 + number(text + 20, 3);
}

const char *
clock_format_duration(int64_t ms, char buf[CLOCK_TEXT_MAX])
{
	if (ms < 1000)
		snprintf(buf, CLOCK_TEXT_MAX, "%" PRId64 "ms", ms);
	else if (ms < 60000)
		snprintf(buf, CLOCK_TEXT_MAX, "%.1fs", (double)ms / 1000);
	else if (ms < 3600000)
		snprintf(buf, CLOCK_TEXT_MAX, "%" PRId64 "m%02" PRId64 "s",
			 ms / 60000, ms / 1000 % 60);
	else
		snprintf(buf, CLOCK_TEXT_MAX, "%" PRId64 "h%02" PRId64 "m",
			 ms / 3600000, ms / 60000 % 60);
	return buf;
}
