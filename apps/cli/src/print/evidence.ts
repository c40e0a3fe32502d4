// What has taken effect of a change, each effect with its time.
import type { Evidence } from '@keyline/api';
import { formatExactTime } from './time.ts';
import { formatTable } from './table.ts';

/** A line an effect: in force since when, or still pending. */
export function formatEvidence(evidence: Evidence): string {
  const rows: [string, string][] = [
    [`ledger entry ${String(evidence.ledger.seq)} durable`, formatExactTime(evidence.ledger.at)],
  ];
  for (const { target, done, at } of evidence.targets) {
    rows.push([
      `broker ${target}`,
      done ? (at === null ? 'done' : formatExactTime(at)) : 'pending',
    ]);
  }
  if (evidence.ocsp !== undefined) {
    rows.push([`OCSP says ${evidence.ocsp.status}`, formatExactTime(evidence.ocsp.at)]);
  }
  if (evidence.crl !== undefined) {
    const { authority, number, at } = evidence.crl;
    rows.push([
      number === null ? `CRL of ${authority}` : `CRL ${String(number)} of ${authority}`,
      at === null ? 'pending' : formatExactTime(at),
    ]);
  }
  return formatTable(['EFFECT', 'SINCE (UTC)'], rows);
}

/** Whether every effect holds. */
export function isComplete(evidence: Evidence): boolean {
  return (
    evidence.targets.every(({ done }) => done) &&
    (evidence.crl === undefined || evidence.crl.at !== null)
  );
}
