// Alerts as log lines, with the severity as level.
import type { AlertChannel, AlertLog } from './channel.ts';

const levels = { info: 'info', warning: 'warn', critical: 'error' } as const;

export function createLogChannel(log: AlertLog): AlertChannel {
  return {
    name: 'log',
    probe: () => Promise.resolve(),
    deliver(changes) {
      for (const { status, alert } of changes) {
        const { key, severity, count, examples, summary } = alert;
        const level = status === 'resolved' ? 'info' : levels[severity];
        const word = status === 'resolved' ? 'Resolved: ' : '';
        log[level]({ alert: key, status, severity, count, examples }, `${word}${summary}`);
      }
      return Promise.resolve();
    },
  };
}
