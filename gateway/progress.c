#include "gateway/progress.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

bool progress_of(int fd, struct progress *progress)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return false;
	progress->acknowledged_bytes = info.tcpi_bytes_acked;
	progress->unsent_bytes = info.tcpi_notsent_bytes;
	return true;
}
