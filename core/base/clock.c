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

int64_t
clock_parse_utc(const char *text)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int ms, used = 0;

	if (!end || sscanf(end, ".%3dZ%n", &ms, &used) != 1 || used != 5 || end[used])
		return -1;
	return (int64_t)timegm(&tm) * 1000 + ms;
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
