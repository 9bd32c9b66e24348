#include "gateway/taking.h"

#include <linux/tcp.h> /* the C library's struct tcp_info ends too early */
#include <netinet/in.h>
#include <sys/socket.h>

void taking_look(struct taking *taking, int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);
	uint64_t before = taking->acknowledged;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) {
		*taking = (struct taking){.acknowledged = before};
		return;
	}
	taking->acknowledged = info.tcpi_bytes_acked;
	taking->took = info.tcpi_bytes_acked != before;
	taking->left = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0;
}
