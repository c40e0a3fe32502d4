// One thing (or one group of things) that needs somebody, as an evaluation sees it. Whether it is news is the engine's.
import type { AlertSeverity } from '@keyline/fleet';

/** What an alert is about: a kind of certificate, an authority, a CRL. */
export type AlertSubject =
  'device' | 'server' | 'service' | 'operator' | 'station' | 'ocsp' | 'authority' | 'crl';

export interface Finding {
  /** `expiry:device:sensor:7d`; stable, because it is what makes two findings the same alert. */
  readonly key: string;
  readonly subject: AlertSubject;
  /** Device type, owner, or id of an authority. */
  readonly group: string;
  readonly severity: AlertSeverity;
  readonly summary: string;
  readonly count: number;
  readonly examples: readonly string[];
}

const prefix = 'expiry';

export function alertKey(subject: AlertSubject, group: string, threshold: string): string {
  return `${prefix}:${subject}:${group}:${threshold}`;
}

/** The parts of a key of ours; undefined for an alert that somebody else keeps. Groups may hold colons, the other parts don't. */
export function parseAlertKey(
  key: string,
): { readonly subject: string; readonly group: string; readonly threshold: string } | undefined {
  const match = /^expiry:([a-z]+):(.*):([^:]+)$/s.exec(key);
  const [, subject, group, threshold] = match ?? [];
  if (subject === undefined || group === undefined || threshold === undefined) return undefined;
  return { subject, group, threshold };
}
