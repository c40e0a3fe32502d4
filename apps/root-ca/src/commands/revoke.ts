// keyline-root revoke: takes back an authority the root has signed. Nothing is signed, so no passphrase is asked; the world learns of it
// from the next CRL.
import { formatInstant, KeylineError, type SerialHex, quoteForShell } from '@keyline/kernel';
import type { RevocationReason } from '@keyline/pki';
import { decodePem, parseCertificate } from '@keyline/x509';
import { openRoot } from '../open-root.ts';
import { facts } from '../print.ts';
import { saveRootState, type Intermediate, type RootState } from '../root-state.ts';
import { confirm, type Report, type Task } from '../task.ts';

/** Not certificateHold: an authority's leaves can't be put on hold with it. */
export const authorityReasons = [
  'unspecified',
  'keyCompromise',
  'cACompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const satisfies readonly RevocationReason[];

export interface RevokeOptions {
  readonly serial?: string;
  readonly certificate?: string;
  readonly reason: (typeof authorityReasons)[number];
  readonly yes?: boolean;
}

/** @throws {KeylineError} CERTIFICATE_NOT_FOUND, CERTIFICATE_ALREADY_REVOKED, USAGE; see open-root.ts */
export async function revoke(task: Task, options: RevokeOptions): Promise<Report> {
  const { folder, journal, now } = task;
  const { reason } = options;
  const { state } = await openRoot(task);
  const intermediate = getIntermediate(task, options, state);
  const { serial, commonName } = intermediate;
  journal.facts['serial'] = serial;
  if (intermediate.revoked !== undefined) {
    throw new KeylineError(
      'CERTIFICATE_ALREADY_REVOKED',
      `"${commonName}" (serial ${serial}) was revoked on ${intermediate.revoked.at} for ${intermediate.revoked.reason}. Nothing was changed; "keyline-root crl" publishes it.`,
      { context: { serial } },
    );
  }
  await confirm(task, {
    yes: options.yes,
    ask: 'Revoke it? There is no way back.',
    shown: `About to revoke:\n${facts([
      ['common name', commonName],
      ['serial', serial],
      ['valid', `${intermediate.notBefore} to ${intermediate.notAfter}`],
      ['reason', reason],
      ['clock says', formatInstant(now)],
    ])}`,
  });
  const at = formatInstant(now);
  const intermediates = state.intermediates.map((other) =>
    other === intermediate ? { ...other, revoked: { at, reason } } : other,
  );
  journal.outputs.push(await saveRootState(folder, { ...state, intermediates }, now));
  return {
    json: { serial, commonName, revokedAt: at, reason },
    text: `Revoked: "${commonName}", serial ${serial}, ${reason}, ${at}.\nNobody knows yet. Next: keyline-root crl --dir ${quoteForShell(folder.path)}, then publish the new CRL.\n`,
  };
}

function getIntermediate(task: Task, options: RevokeOptions, state: RootState): Intermediate {
  const serial = getSerial(task, options);
  const found = state.intermediates.find((intermediate) => intermediate.serial === serial);
  if (found !== undefined) return found;
  throw new KeylineError(
    'CERTIFICATE_NOT_FOUND',
    `This root has signed no certificate with the serial ${serial}. "keyline-root inspect --dir ${quoteForShell(task.folder.path)}" lists what it has signed.`,
    { context: { serial } },
  );
}

function getSerial({ folder, journal }: Task, { serial, certificate }: RevokeOptions): SerialHex {
  if ((serial === undefined) === (certificate === undefined)) {
    throw new KeylineError(
      'USAGE',
      'Say which authority: --serial HEX or --certificate FILE, one of them.',
    );
  }
  if (serial !== undefined) return parseSerial(serial);
  const { bytes, record } = folder.read(certificate ?? '');
  journal.inputs.push(record);
  const isDer = bytes[0] === 0x30;
  return parseCertificate(isDer ? bytes : decodePem(bytes.toString('latin1'), 'CERTIFICATE'))
    .serial;
}

/** As people copy serials from elsewhere: with colons, `0x`, a leading zero octet, in capitals. */
function parseSerial(text: string): SerialHex {
  const hex = text
    .toLowerCase()
    .replace(/^0x/, '')
    .replace(/[:\s]/g, '')
    .replace(/^(?:00)+(?=.)/, '');
  if (/^(?:[0-9a-f]{2}){1,20}$/.test(hex)) return hex as SerialHex;
  throw new KeylineError(
    'USAGE',
    `"${text.slice(0, 80)}" is not a serial: give it in hex, for instance 6bdfd8f3….`,
  );
}
