// What has taken effect of a change, and waiting for it: brokers, OCSP, CRL, each with its time.
import type { Evidence } from '@keyline/api';
import { listName } from '@keyline/authorities';
import type { Certificate, Store } from '@keyline/fleet';
import { formatInstant, type SerialHex } from '@keyline/kernel';
import { type CrlPublisher, statusOfCertificate } from '@keyline/status';
import type { RunningTarget } from '@keyline/targets';

/** A running broker target as the edge sees it. */
export type TargetView = Omit<RunningTarget, 'tick' | 'reconnect' | 'close' | 'wake' | 'stop'>;

export interface Effects {
  readonly targets: readonly TargetView[];
  /** Whether every broker has it. One that is known to be down is not waited for: it would hold up every request. */
  waitForTargets(seq: number, timeoutMilliseconds: number): Promise<boolean>;
  /** Somebody asked to wait, so for brokers that are down too: they may come back. */
  waitForAll(
    seq: number,
    timeoutMilliseconds: number,
    /** Of a certificate whose revocation the complete CRL must say too. */
    serial?: SerialHex | null,
  ): Promise<void>;
  /** As long as may be without being asked to. */
  waitForHealthy(seq: number, timeoutMilliseconds: number): Promise<void>;
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
    const reached = await Promise.all(
      targets.map((target) => target.waitFor(seq, target.lastError() === undefined ? timeout : 0)),
    );
    return reached.every(Boolean);
  };
  const waitForCrl = (seq: number, timeout: number): Promise<boolean> =>
    options.crlPosition.waitFor(seq, timeout);
  return {
    targets,
    waitForTargets,
    async waitForAll(seq, timeout, serial) {
      const certificate = serial ? await store.findCertificate(serial) : undefined;
      await Promise.all([
        ...targets.map((target) => target.waitFor(seq, timeout)),
        waitForCrl(seq, timeout).then((reached) =>
          reached && certificate !== undefined
            ? crl.waitForComplete(
                listName(certificate.authority, certificate.crlShard),
                listedBy(certificate, seq),
                timeout,
              )
            : reached,
        ),
      ]);
    },
    async waitForHealthy(seq, timeout) {
      await Promise.all([waitForTargets(seq, timeout), waitForCrl(seq, timeout)]);
    },
    async evidence({ entry, device, serial }) {
      const certificate =
        serial === undefined || serial === null ? undefined : await store.findCertificate(serial);
      const list = certificate && listName(certificate.authority, certificate.crlShard);
      if (list !== undefined && !crl.isPublishing()) await crl.view.refresh();
      const covering =
        list === undefined || certificate === undefined
          ? undefined
          : crl.coverage(list, listedBy(certificate, entry.seq));
      const status = certificate && statusOfCertificate(certificate).status;
      return {
        ledger: { seq: entry.seq, at: formatInstant(entry.at) },
        targets: targets.map((target) => {
          const done = target.position() >= entry.seq;
          const at = target.acknowledgedAt(device, entry.seq);
          return {
            target: target.name,
            done,
            at: done && at !== undefined ? formatInstant(at) : null,
            refuses: status === 'revoked' ? refusalOf(target) : null,
            pending: done ? null : whyPending(target),
          };
        }),
        ...(certificate === undefined || status === undefined || list === undefined
          ? {}
          : {
              ocsp: { status, at: formatInstant(entry.at) },
              crl: {
                authority: certificate.authority,
                list,
                number: covering?.number ?? null,
                kind: covering?.kind ?? null,
                at: covering === undefined ? null : formatInstant(covering.thisUpdate),
              },
            }),
      };
    },
  };
}

/**
 * The ledger position that a CRL must hold for a change to be in it. A certificate that was revoked before (a revoked device that is
 * decommissioned) gives its list nothing new: no CRL will be made for this entry, and the one with the revocation says all there is.
 */
function listedBy({ entry }: Pick<Certificate, 'entry'>, seq: number): number {
  return Math.min(entry ?? seq, seq);
}

function refusalOf(target: TargetView): 'broker' | 'crl' | null {
  const refusesSerials = target.refusesSerials();
  if (refusesSerials === undefined) return null;
  return refusesSerials ? 'broker' : 'crl';
}

function whyPending(target: TargetView): string {
  const lag = target.lag();
  return (
    target.lastError() ??
    `It has ${String(lag)} ${lag === 1 ? 'entry' : 'entries'} of the ledger still to do.`
  );
}
