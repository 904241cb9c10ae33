/** What the gateway says about itself: three views of one Snapshot, taken when asked. */
import type { Snapshot } from '../core/snapshot.js';
import { health } from './health.js';
import { METRICS_TYPE, metricsText } from './metrics.js';
import { jsonAnswer, type Route } from './route.js';

export function statusRoutes(snapshot: () => Snapshot): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/api/status',
      // The process, so that a second gateway can say who holds the journal.
      answer: () => jsonAnswer(200, { ...snapshot(), pid: process.pid }),
    },
    {
      method: 'GET',
      path: '/healthz',
      answer: () => {
        const { httpStatus, status, reasons } = health(snapshot());
        return jsonAnswer(httpStatus, { status, reasons });
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      answer: () => ({ status: 200, type: METRICS_TYPE, body: metricsText(snapshot()) }),
    },
  ];
}
