// What has taken effect of a change, and waiting for it: brokers, OCSP, CRL, each with its time.
import type { Evidence } from '@keyline/api';
import type { Store } from '@keyline/fleet';
import { formatInstant, type SerialHex } from '@keyline/kernel';
import type { Reconciliation } from '@keyline/targets';
import { listName } from './crl-lists.ts';
import type { CrlPublisher } from './crl-publisher.ts';
import { statusOfCertificate } from './ocsp-service.ts';

/** A running broker target as the edge sees it. */
export interface TargetView {
  readonly name: string;
  position(): number;
  lag(): number;
  lastError(): string | undefined;
  waitFor(seq: number, timeoutMilliseconds: number): Promise<boolean>;
  /** When the broker acknowledged what the entry asked of it, if that is still remembered. */
  acknowledgedAt(device: string, seq: number): number | undefined;
  /** The last comparison with the fleet. */
  compared(): Reconciliation | undefined;
  /** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  compare(): Promise<Reconciliation>;
}

export interface Effects {
  readonly targets: readonly TargetView[];
  waitForTargets(seq: number, timeoutMilliseconds: number): Promise<boolean>;
  waitForAll(seq: number, timeoutMilliseconds: number): Promise<void>;
  evidence(change: {
    readonly entry: { readonly seq: number; readonly at: number };
    readonly device: string;
    /** Certificate whose status the change is about; absent when there is no revocation to show. */
    readonly serial?: SerialHex | null | undefined;
  }): Promise<Evidence>;
}

export function createEffects(options: {
  targets: readonly TargetView[];
  crl: CrlPublisher;
  crlPosition: { waitFor(seq: number, timeoutMilliseconds: number): Promise<boolean> };
  store: Pick<Store, 'findCertificate'>;
}): Effects {
  const { targets, crl, store } = options;
  const waitForTargets = async (seq: number, timeout: number): Promise<boolean> => {
    const reached = await Promise.all(targets.map((target) => target.waitFor(seq, timeout)));
    return reached.every(Boolean);
  };
  return {
    targets,
    waitForTargets,
    async waitForAll(seq, timeout) {
      await Promise.all([waitForTargets(seq, timeout), options.crlPosition.waitFor(seq, timeout)]);
    },
    async evidence({ entry, device, serial }) {
      const certificate =
        serial === undefined || serial === null ? undefined : await store.findCertificate(serial);
      const covering =
        certificate &&
        crl.coverage(listName(certificate.authority, certificate.crlShard), entry.seq);
      return {
        ledger: { seq: entry.seq, at: formatInstant(entry.at) },
        targets: targets.map((target) => {
          const done = target.position() >= entry.seq;
          const at = target.acknowledgedAt(device, entry.seq);
          return {
            target: target.name,
            done,
            at: done && at !== undefined ? formatInstant(at) : null,
          };
        }),
        ...(certificate === undefined
          ? {}
          : {
              ocsp: {
                status: statusOfCertificate(certificate).status,
                at: formatInstant(entry.at),
              },
              crl: {
                authority: certificate.authority,
                number: covering?.number ?? null,
                at: covering === undefined ? null : formatInstant(covering.thisUpdate),
              },
            }),
      };
    },
  };
}
