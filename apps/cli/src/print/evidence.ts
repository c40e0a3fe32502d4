// What has taken effect of a change, each effect with its time, and what has not, with the reason.
import type { Evidence } from '@keyline/api';
import { formatInstant } from '@keyline/kernel';
import { formatExactTime } from './time.ts';
import { formatTable } from './table.ts';

/** The complete CRL that a broker has read, known where the broker's figures can be asked. */
export interface CrlInForce {
  readonly target: string;
  readonly number: number;
  /** Epoch milliseconds, when it was first seen in force. */
  readonly at: number;
}

/** A line an effect: in force since when, or still pending. */
export function formatEvidence(evidence: Evidence, crlInForce?: CrlInForce): string {
  const rows: [string, string][] = [
    [`ledger entry ${String(evidence.ledger.seq)} durable`, formatExactTime(evidence.ledger.at)],
  ];
  const isRefusal = evidence.ocsp?.status === 'revoked';
  const crlNumber = evidence.crl?.number ?? null;
  for (const { target, done, at, refuses, pending } of evidence.targets) {
    const since = done ? (at === null ? 'done' : formatExactTime(at)) : `pending: ${pending ?? ''}`;
    rows.push([`${target}: ${isRefusal ? 'session cut, rights gone' : 'rights in force'}`, since]);
    if (refuses === 'broker') rows.push([`${target}: reconnect refused`, since]);
    if (refuses !== 'crl') continue;
    rows.push(
      crlInForce?.target === target
        ? [
            `${target}: reconnect refused (CRL ${String(crlInForce.number)})`,
            formatExactTime(formatInstant(crlInForce.at)),
          ]
        : [
            `${target}: reconnect refused`,
            crlNumber === null
              ? 'with the next CRL'
              : `when it has read CRL ${String(crlNumber)} or a later one`,
          ],
    );
  }
  if (evidence.ocsp !== undefined) {
    rows.push([`OCSP says ${evidence.ocsp.status}`, formatExactTime(evidence.ocsp.at)]);
  }
  if (evidence.crl !== undefined) {
    const { list, number, kind, at } = evidence.crl;
    rows.push([
      number === null
        ? `CRL of ${list}`
        : `CRL ${String(number)} of ${list}${kind === 'delta' ? ' (delta)' : ''}`,
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
