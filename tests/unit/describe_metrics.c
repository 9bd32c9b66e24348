/*
 * Prints the tables of docs/metrics.md; see document_metrics.py.
 */

#include "common/metrics.h"

int main(void)
{
	printf("## Both programs\n\n");
	metrics_document(stdout, METRICS_BOTH);
	printf("\n## Gateways\n\n");
	metrics_document(stdout, METRICS_GATEWAY);
	printf("\n## Pollers\n\n");
	metrics_document(stdout, METRICS_POLLER);
	return 0;
}
