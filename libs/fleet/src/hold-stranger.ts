// Certificates that one of our authorities signed and that are not on record: the database was brought back from an older day, or somebody
// else has the key. Uncertain is closed: they are held until a person takes them for ours, or revokes them (quarantine.ts).
import type { SerialHex } from '@keyline/kernel';
import type { NewEntry } from '@keyline/ledger';
import { equalBytes, verifySignature, type ParsedCertificate } from '@keyline/x509';
import type { FleetContext } from './context.ts';
import { strangerKey } from './identity-conflict.ts';
import type { Alert } from './model.ts';

/** What is known of a certificate that somebody came with. */
export interface Stranger {
  readonly serial: SerialHex;
  /** Whom it names. */
  readonly identity: string;
  /** The certificate, DER; its signature was checked. Null: only its serial is known. */
  readonly der: Uint8Array | null;
  /** Which authority signed it; null: not known. */
  readonly authority: string | null;
  /** `api`, or the name of a broker. */
  readonly seenBy: string;
  /** Empty: not known. */
  readonly address: string;
}

/** Whoever has an authority's key could make them without end. */
const mostOfIdentity = 5;
const mostOfAll = 100_000;

/** Milliseconds after which it is written down anew that one came again. */
const restBetween = 60_000;

/**
 * Holds it, with a ledger entry and the critical alert of its identity. One that came before is completed, and written down again a minute
 * later at the earliest.
 * @returns false when it is on record
 */
export async function holdStranger(
  { store, clock }: Pick<FleetContext, 'store' | 'clock'>,
  stranger: Stranger,
): Promise<boolean> {
  const { serial, identity, der, authority, seenBy, address } = stranger;
  const onRecord = await store.findCertificate(serial);
  // One with the serial of somebody else's certificate is no less a stranger.
  if (onRecord !== undefined && (onRecord.owner === identity || onRecord.state === 'revoked')) {
    return false;
  }
  const at = clock.now();
  const before = await store.findQuarantined(serial);
  const isNews =
    before !== undefined
      ? (before.der === null && der !== null) || at - before.lastAt >= restBetween
      : onRecord === undefined &&
        (await store.countQuarantined(identity)) < mostOfIdentity &&
        (await store.countQuarantined()) < mostOfAll;
  const alert = await strangerAlert(store, stranger, at);
  const by = { at, actor: 'keyline' } as const;
  if (!isNews && alert === undefined) return true;
  await store.commit({
    writes: [
      ...(isNews
        ? [
            {
              op: 'quarantine-certificate',
              ...{ serial, identity, authority, der, seenBy, address, at },
            } as const,
          ]
        : []),
      ...(alert === undefined ? [] : [{ op: 'put-alert', alert } as const]),
    ],
    entries: [
      ...(isNews && before === undefined
        ? [{ ...by, data: { kind: 'certificate-quarantined', identity, serial } } as const]
        : []),
      ...(alert === undefined ? [] : [{ ...by, data: firedBy(alert) }]),
    ],
  });
  return true;
}

function firedBy({ key, severity, count }: Alert): NewEntry['data'] {
  return { kind: 'alert-fired', alert: key, severity, count };
}

/** One for each identity: the next certificate opens it anew when somebody closed it, and is news of its own while it is open. */
async function strangerAlert(
  store: Pick<FleetContext['store'], 'findAlert'>,
  { serial, identity, seenBy, address }: Stranger,
  at: number,
): Promise<Alert | undefined> {
  const key = strangerKey(identity);
  const earlier = await store.findAlert(key);
  const named = earlier?.resolvedAt === null ? earlier.examples : [];
  // It is refused all the same; the alert says that no more are named.
  if (named.includes(serial) || named.length >= mostOfIdentity) return undefined;
  const serials = [...named, serial];
  const others =
    serials.length === 1
      ? ''
      : ` It is number ${String(serials.length)} of them${serials.length === mostOfIdentity ? '; no more are named' : ''}.`;
  const where = seenBy === 'api' ? 'The API' : `The broker "${seenBy}"`;
  return {
    key,
    severity: 'critical',
    summary: `${where} refused a certificate for "${identity}" (serial ${serial}${address === '' ? '' : `, from ${address}`}) that one of our authorities has signed and that is not on record here.${others} Either the database was brought back from an older backup, or somebody else has the key of an issuing authority: revoke that authority if in doubt. It is held until somebody decides: keyline quarantine list, then adopt or revoke it. Deciding about it or about the device closes this alert, and so does keyline alerts acknowledge ${key}.`,
    count: serials.length,
    examples: serials,
    firstAt: named.length === 0 ? at : (earlier?.firstAt ?? at),
    lastAt: at,
    resolvedAt: null,
  };
}

/** The authority that signed a certificate, by its signature. @returns undefined: none of ours */
export function signerOf(
  certificate: ParsedCertificate,
  authorities: readonly { readonly id: string; readonly certificate: ParsedCertificate }[],
): string | undefined {
  const found = authorities.find(
    ({ certificate: issuer }) =>
      equalBytes(issuer.subjectDer, certificate.issuerDer) &&
      verifySignature({ ...certificate, spkiDer: issuer.spkiDer }),
  );
  return found?.id;
}
