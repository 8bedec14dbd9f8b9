/* serial.h -- the serial after this one.  Pure. */
#ifndef DNS_BIND_SERIAL_H
#define DNS_BIND_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

enum serial_form { SERIAL_AUTO, SERIAL_DATE, SERIAL_COUNTER };

/* A serial that is newer (RFC 1982) than now and, if has_served, than what servers already
 * have.  AUTO: as now is written.  today: YYYYMMDD.  When all hundred of the day are used, or
 * the serial is ahead of the day, it counts. */
uint32_t serial_next(uint32_t now, bool has_served, uint32_t served, enum serial_form form,
		     uint32_t today);
/* Is it YYYYMMDDnn of a day from 1980 to 2099? */
bool serial_is_date(uint32_t serial);

#endif
