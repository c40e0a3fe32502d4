// keyline-root cross-sign: another root's name and key under this root's signature. Over a change of root, the old certifies the new and
// the new the old (RFC 4210 §4.4), and devices that know either reach both.
import { formatInstant } from '@keyline/kernel';
import { createCrossCertificate } from '@keyline/pki';
import { decodePem, keyAlgorithmOf, parseCertificate } from '@keyline/x509';
import { deliver, deliverAgain, resolveOut } from '../deliver.ts';
import { parseNameLimits, type NameLimitOptions } from '../name-limits.ts';
import { sha256Of } from '../offline-folder.ts';
import { openRoot, unlockRoot } from '../open-root.ts';
import { facts, fingerprint } from '../print.ts';
import { confirm, type Report, type Task } from '../task.ts';
import { describeShortening, parseLifetime } from '../validity.ts';

export interface CrossSignOptions extends NameLimitOptions {
  readonly certificate: string;
  readonly out?: string;
  readonly validity: string;
  readonly pathLen?: number;
  readonly crlUrl?: string;
  readonly issuerUrl?: string;
  readonly ocspUrl?: string;
  readonly passphraseFile?: string;
  readonly yes?: boolean;
}

const bounds = { least: '1d', most: '30y' };

/** @throws {KeylineError} DER_MALFORMED, PATH_INVALID, VALIDITY_NOT_ALLOWED, FILE_EXISTS; see open-root.ts */
export async function crossSign(task: Task, options: CrossSignOptions): Promise<Report> {
  const { folder, journal, now } = task;
  const validity = parseLifetime(options.validity, bounds, now);
  const nameConstraints = parseNameLimits(options);
  const opened = await openRoot(task);
  const { bytes, record } = folder.read(options.certificate);
  journal.inputs.push(record);
  const other = parseCertificate(
    bytes[0] === 0x30 ? bytes : decodePem(bytes.toString('latin1'), 'CERTIFICATE'),
  );
  const { finished } = opened;
  const isAgain = finished?.inputSha256 === record.sha256;
  const out = resolveOut(task, options.out, isAgain ? finished : undefined);
  if (isAgain) return deliverAgain(task, { ...opened, finished }, out);
  const notAfter = Math.min(now + validity, opened.certificate.notAfter, other.notAfter);
  await confirm(task, {
    yes: options.yes,
    ask: 'Sign it?',
    shown: `About to certify another root, with the root "${opened.state.commonName}":\n${facts([
      ['common name', other.commonName ?? 'none'],
      ['key', keyAlgorithmOf(other.spkiDer)],
      ['valid', `${formatInstant(other.notBefore)} to ${formatInstant(other.notAfter)}`],
      ['its SHA-256', fingerprint(sha256Of(other.der))],
      ['certificate', record.file],
      ['ends', formatInstant(notAfter)],
      ['shortened', describeShortening(now + validity, notAfter)],
      ['clock says', formatInstant(now)],
      [
        'authorities below',
        options.pathLen === undefined ? 'as both allow' : `${options.pathLen} levels`,
      ],
      ['only names in', options.permit?.join(', ')],
      ['no names in', options.exclude?.join(', ')],
      ['CRL at', options.crlUrl],
      ['root served at', options.issuerUrl],
      ['OCSP at', options.ocspUrl],
    ])}Everything that root has signed or will sign is then trusted by those who trust this one. Compare its SHA-256.\n`,
  });
  const issuer = await unlockRoot(task, opened.certificate, options.passphraseFile);
  const certificateDer = await createCrossCertificate({
    issuer,
    subjectDer: other.der,
    now,
    validity,
    pathLen: options.pathLen,
    urls: { crl: options.crlUrl, caIssuers: options.issuerUrl, ocsp: options.ocspUrl },
    nameConstraints,
  });
  return deliver(task, opened.state, {
    certificateDer,
    inputSha256: record.sha256,
    out,
    askedEnd: now + validity,
  });
}
