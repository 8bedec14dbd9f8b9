#include "config.h"

#include "plugins/dns-bind/serial.h"

#include "sdk/dnsguard/guard.h"

bool
serial_is_date(uint32_t serial)
{
	uint32_t year = serial / 1000000, month = serial / 10000 % 100, day = serial / 100 % 100;

	return year >= 1980 && year <= 2099 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

uint32_t
serial_next(uint32_t now, bool has_served, uint32_t served, enum serial_form form, uint32_t today)
{
	uint32_t base = has_served && guard_serial_newer(now, served) ? served : now;
	uint32_t first = today * 100 + 1;
	bool date = form == SERIAL_DATE || (form == SERIAL_AUTO && serial_is_date(now));

	if (date && guard_serial_newer(base, first))
		return first;
	/* 0 has a meaning of its own to some servers; BIND skips it too. */
	return base + 1 ? base + 1 : 1;
}
