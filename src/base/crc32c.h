/* crc32c: the Castagnoli CRC (RFC 3720 appendix B.4), by the CPU where it can. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continue crc (0 to begin) over n octets. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
