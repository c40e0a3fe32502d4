// keyline-root sign-intermediate: the certificate of an issuing authority, from its CSR.
import { formatInstant, KeylineError } from '@keyline/kernel';
import { createIssuingCertificate, type Csr } from '@keyline/pki';
import { parseAuthorityRequest } from '../authority-request.ts';
import { deliver, deliverAgain, resolveOut } from '../deliver.ts';
import { parseNameLimits, type NameLimitOptions } from '../name-limits.ts';
import { folderFiles } from '../offline-folder.ts';
import { openRoot, unlockRoot, type OpenedRoot } from '../open-root.ts';
import { facts } from '../print.ts';
import { confirm, type Report, type Task } from '../task.ts';
import { describeShortening, parseLifetime } from '../validity.ts';

/** What leaves of a Keyline authority are for. OCSPSigning is not among them: it would let the authority answer for the root. */
const intermediateUsages = ['clientAuth', 'serverAuth'] as const;

export interface SignIntermediateOptions extends NameLimitOptions {
  readonly csr: string;
  readonly out?: string;
  readonly commonName?: string;
  readonly organization?: string;
  readonly validity: string;
  readonly pathLen: number;
  readonly crlUrl?: string;
  readonly issuerUrl?: string;
  readonly ocspUrl?: string;
  readonly anyUsage?: boolean;
  readonly passphraseFile?: string;
  readonly yes?: boolean;
}

const bounds = { least: '1d', most: '30y' };

/** @throws {KeylineError} see authority-request.ts, open-root.ts; CSR_KEY_IN_USE, FILE_EXISTS, VALIDITY_NOT_ALLOWED, PROFILE_VIOLATION */
export async function signIntermediate(
  task: Task,
  options: SignIntermediateOptions,
): Promise<Report> {
  const { folder, journal, now } = task;
  const validity = parseLifetime(options.validity, bounds, now);
  const nameConstraints = parseNameLimits(options);
  const opened = await openRoot(task);
  const { bytes, record } = folder.read(options.csr);
  journal.inputs.push(record);
  const csr = parseAuthorityRequest(bytes);
  const { finished } = opened;
  const isAgain = finished?.inputSha256 === record.sha256;
  const out = resolveOut(task, options.out, isAgain ? finished : undefined);
  if (isAgain) return deliverAgain(task, { ...opened, finished }, out);
  assertNewKey(csr, opened);
  const commonName = assertName(csr, options, opened);
  const notAfter = Math.min(now + validity, opened.certificate.notAfter);
  await confirm(task, {
    yes: options.yes,
    ask: 'Sign it?',
    shown: describeRequest(task, {
      ...{ csr, options, opened, commonName, notAfter },
      ...{ askedEnd: now + validity, csrFile: record },
    }),
  });
  const root = await unlockRoot(task, opened.certificate, options.passphraseFile);
  const certificateDer = await createIssuingCertificate({
    root,
    csr,
    commonName,
    organization: options.organization,
    now,
    validity,
    urls: { crl: options.crlUrl, caIssuers: options.issuerUrl, ocsp: options.ocspUrl },
    extendedKeyUsage: options.anyUsage === true ? undefined : intermediateUsages,
    nameConstraints,
    pathLen: options.pathLen,
  });
  return deliver(task, opened.state, {
    certificateDer,
    inputSha256: record.sha256,
    out,
    askedEnd: now + validity,
  });
}

function assertNewKey(csr: Csr, { state, certificate }: OpenedRoot): void {
  if (csr.spkiSha256 === certificate.spkiSha256) {
    throw new KeylineError(
      'CSR_KEY_IN_USE',
      "The CSR's key is the root's own. An issuing authority needs a key of its own; nothing was signed.",
    );
  }
  const known = state.intermediates.find(({ spkiSha256 }) => spkiSha256 === csr.spkiSha256);
  if (known === undefined) return;
  throw new KeylineError(
    'CSR_KEY_IN_USE',
    `This key was signed on ${known.signedAt}: serial ${known.serial}${
      known.revoked === undefined
        ? `, in ${folderFiles.issued}/${known.serial}.crt. Use that certificate, or`
        : ', revoked since.'
    } ${known.revoked === undefined ? 'make' : 'Make'} a CSR with a new key.`,
    { context: { serial: known.serial } },
  );
}

function assertName(
  csr: Csr,
  options: SignIntermediateOptions,
  { state, certificate }: OpenedRoot,
): string {
  const commonName = options.commonName ?? csr.commonName;
  if (commonName === undefined) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      'The CSR has no common name. Give one with --common-name; nothing was signed.',
    );
  }
  if (commonName === certificate.commonName && options.organization === state.organization) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${commonName}" is the root's own name; verifiers would take the two for one. Give another with --common-name; nothing was signed.`,
    );
  }
  return commonName;
}

interface Shown {
  readonly csr: Csr;
  readonly options: SignIntermediateOptions;
  readonly opened: OpenedRoot;
  readonly commonName: string;
  readonly notAfter: number;
  readonly askedEnd: number;
  readonly csrFile: { readonly file: string; readonly sha256: string };
}

function describeRequest(task: Task, shown: Shown): string {
  const { csr, options, opened, commonName, notAfter, askedEnd, csrFile } = shown;
  const { certificate, state } = opened;
  const namesakes = state.intermediates.filter((other) => other.commonName === commonName).length;
  return `About to sign, with the root "${state.commonName}":\n${facts([
    ['common name', commonName],
    ['', options.commonName === undefined ? undefined : `(the CSR says: ${csr.commonName ?? '-'})`],
    ['organization', options.organization],
    ['key', `${csr.algorithm}, possession proved by the CSR's signature`],
    ['key SHA-256', csr.spkiSha256],
    ['CSR', csrFile.file],
    ['CSR SHA-256', csrFile.sha256],
    [
      'ends',
      `${formatInstant(notAfter)}${notAfter === certificate.notAfter ? ' (with the root)' : ''}`,
    ],
    ['shortened', describeShortening(askedEnd, notAfter)],
    ['clock says', formatInstant(task.now)],
    ['authorities below', options.pathLen === 0 ? 'none' : `${options.pathLen} levels`],
    ['leaves are for', options.anyUsage === true ? 'anything' : intermediateUsages.join(', ')],
    ['only names in', options.permit?.join(', ')],
    ['no names in', options.exclude?.join(', ')],
    ['CRL at', options.crlUrl],
    ['root served at', options.issuerUrl],
    ['OCSP at', options.ocspUrl],
    [
      'note',
      namesakes === 0 ? undefined : `${namesakes} other(s) signed here have the same common name`,
    ],
  ])}`;
}
