// keyline-root inspect: what a certificate, CSR or CRL says, or what is in the folder. Reads only, and needs no passphrase.
import { formatInstant, isKeylineError, KeylineError } from '@keyline/kernel';
import { parseCsr, readRequestedExtensions, type Csr } from '@keyline/pki';
import {
  decodePem,
  keyAlgorithmOf,
  oids,
  parseAlternativeNames,
  parseCertificate,
  parseCrl,
  verifySignature,
  type ParsedCertificate,
  type ParsedCrl,
} from '@keyline/x509';
import { folderFiles, sha256Of, type OfflineFolder } from '../offline-folder.ts';
import { loadRootCertificate } from '../open-root.ts';
import { facts, fingerprint } from '../print.ts';
import { loadRootState, type Intermediate } from '../root-state.ts';
import type { Report, Task } from '../task.ts';

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, DER_MALFORMED; as parseCsr for a CSR; STORE_MISSING for the folder */
export async function inspect(task: Task, file: string | undefined): Promise<Report> {
  if (file === undefined) return inspectFolder(task);
  const { folder, journal } = task;
  const { bytes, record } = folder.read(file);
  journal.inputs.push(record);
  const root = folder.has(folderFiles.certificate) ? loadRootCertificate(folder) : undefined;
  const { json, text } = describeFile(bytes, root);
  return {
    json: { file: record.file, fileSha256: record.sha256, ...json },
    text: `${record.file} is ${text}`,
  };
}

interface Kind {
  readonly labels: readonly string[];
  readonly describe: (bytes: Uint8Array, root: ParsedCertificate | undefined) => Report;
}

const kinds: readonly Kind[] = [
  {
    labels: ['CERTIFICATE'],
    describe: (bytes, root) => describeCertificate(parseCertificate(bytes), root),
  },
  { labels: ['X509 CRL'], describe: (bytes, root) => describeCrl(parseCrl(bytes), root) },
  { labels: ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'], describe: describeCsr },
];

function describeFile(bytes: Buffer, root: ParsedCertificate | undefined): Report {
  if (bytes[0] !== 0x30) {
    const text = bytes.toString('latin1');
    const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1];
    const kind = kinds.find(({ labels }) => label !== undefined && labels.includes(label));
    if (kind === undefined || label === undefined) throw notKnown(label);
    return kind.describe(decodePem(text, label), root);
  }
  // DER does not say what it is. A CSR has version 0 where the others have something else, so at most one of them fits.
  for (const { describe } of kinds) {
    try {
      return describe(bytes, root);
    } catch (error) {
      if (!isKeylineError(error) || !/^(?:DER|CSR)_MALFORMED$/.test(error.code)) throw error;
    }
  }
  throw notKnown(undefined);
}

function notKnown(label: string | undefined): KeylineError {
  return new KeylineError(
    'DER_MALFORMED',
    `The file is not a certificate, CSR or CRL (PEM or DER)${
      label === undefined ? '' : `; it says "${label}"`
    }.`,
  );
}

function algorithmOf(spkiDer: Uint8Array): string {
  try {
    return keyAlgorithmOf(spkiDer);
  } catch {
    return 'none that Keyline knows'; // a stranger's certificate is still worth looking at
  }
}

function describeCertificate(
  certificate: ParsedCertificate,
  root: ParsedCertificate | undefined,
): Report {
  const { commonName, serial, isCa, pathLen, keyUsage, extendedKeyUsage, selfSigned } = certificate;
  const sha256 = sha256Of(certificate.der);
  const algorithm = algorithmOf(certificate.spkiDer);
  const notBefore = formatInstant(certificate.notBefore);
  const notAfter = formatInstant(certificate.notAfter);
  const names = [...certificate.sanDns, ...certificate.sanIp, ...certificate.sanUri];
  const signedByThisRoot =
    root === undefined ? null : verifySignature({ ...certificate, spkiDer: root.spkiDer });
  return {
    json: {
      kind: 'certificate',
      commonName: commonName ?? null,
      serial,
      notBefore,
      notAfter,
      algorithm,
      isCa,
      pathLen: pathLen ?? null,
      keyUsage,
      extendedKeyUsage,
      names,
      crlUrls: certificate.crlDistributionPoints,
      selfSigned,
      signedByThisRoot,
      spkiSha256: certificate.spkiSha256,
      sha256,
    },
    text: `a certificate:\n${facts([
      ['common name', commonName ?? 'none'],
      ['serial', serial],
      ['valid', `${notBefore} to ${notAfter}`],
      ['key', algorithm],
      ['authority', isCa ? `yes, ${levels(pathLen)}` : 'no'],
      ['key usage', keyUsage.join(', ')],
      ['for', extendedKeyUsage.length === 0 ? 'anything' : extendedKeyUsage.join(', ')],
      ['names', names.length === 0 ? undefined : names.join(', ')],
      ['CRL at', certificate.crlDistributionPoints[0]],
      ['signed by', signerOf(selfSigned, signedByThisRoot)],
      ['key SHA-256', certificate.spkiSha256],
      ['SHA-256', fingerprint(sha256)],
    ])}`,
  };
}

function levels(pathLen: number | undefined): string {
  if (pathLen === undefined) return 'any number of levels below it';
  return pathLen === 0 ? 'none below it' : `${pathLen} levels below it`;
}

function signerOf(selfSigned: boolean, signedByThisRoot: boolean | null): string {
  if (selfSigned) return 'itself';
  if (signedByThisRoot === null) return 'unknown (there is no root in the folder)';
  return signedByThisRoot ? 'this root (the signature verifies)' : 'somebody else, not this root';
}

function describeCrl(list: ParsedCrl, root: ParsedCertificate | undefined): Report {
  const number = list.number.toString();
  const thisUpdate = formatInstant(list.thisUpdate);
  const nextUpdate = formatInstant(list.nextUpdate);
  const signedByThisRoot =
    root === undefined ? null : verifySignature({ ...list, spkiDer: root.spkiDer });
  return {
    json: {
      kind: 'crl',
      number,
      thisUpdate,
      nextUpdate,
      scope: list.scope ?? 'all',
      signedByThisRoot,
      revoked: list.entries.map(({ serial, revokedAt, reason = 'unspecified' }) => ({
        serial,
        revokedAt: formatInstant(revokedAt),
        reason,
      })),
    },
    text: `a CRL:\n${facts([
      ['number', number],
      ['valid', `${thisUpdate} to ${nextUpdate}`],
      ['covers', list.scope === 'ca' ? 'authorities only' : (list.scope ?? 'all certificates')],
      ['signed by', signerOf(false, signedByThisRoot)],
      ['revoked', String(list.entries.length)],
      ...list.entries.map(
        ({ serial, revokedAt, reason = 'unspecified' }) =>
          ['', `${serial} on ${formatInstant(revokedAt)}, ${reason}`] as const,
      ),
    ])}`,
  };
}

function describeCsr(bytes: Uint8Array): Report {
  const csr = parseCsr(bytes);
  const names = requestedNames(csr);
  return {
    json: {
      kind: 'csr',
      commonName: csr.commonName ?? null,
      algorithm: csr.algorithm,
      names: names ?? null,
      spkiSha256: csr.spkiSha256,
    },
    text: `a certificate request, and its signature proves possession of the key:\n${facts([
      ['common name', csr.commonName ?? 'none'],
      ['key', csr.algorithm],
      ['names', names === undefined ? "can't be read" : names.join(', ') || undefined],
      ['key SHA-256', csr.spkiSha256],
    ])}`,
  };
}

/** For the eye only: undefined where the CSR asks for them in a way that can't be read, which no signer needs. */
function requestedNames(csr: Csr): readonly string[] | undefined {
  try {
    const extension = readRequestedExtensions(csr).find(({ oid }) => oid === oids.subjectAltName);
    if (extension === undefined) return [];
    const { dns, ip, uri } = parseAlternativeNames(extension.valueDer);
    return [...dns, ...ip, ...uri];
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    return undefined;
  }
}

function inspectFolder({ folder }: Task): Report {
  const state = loadRootState(folder);
  const root = describeCertificate(loadRootCertificate(folder), undefined);
  const list = findCrl(folder);
  const keyIsHere = folder.has(folderFiles.key);
  const { intermediates, pending } = state;
  return {
    json: {
      folder: folder.path,
      root: root.json,
      keyIsHere,
      lastCrlNumber: state.crlNumber,
      crl: list?.json ?? null,
      intermediates: intermediates.map(
        ({ serial, commonName, notBefore, notAfter, signedAt, spkiSha256, revoked = null }) => ({
          ...{ serial, commonName, notBefore, notAfter, signedAt, spkiSha256, revoked },
        }),
      ),
      interrupted: pending ?? null,
    },
    text: [
      `${folder.path} is the folder of a root. ${folderFiles.certificate} is ${root.text}`,
      `Key: ${keyIsHere ? `${folderFiles.key}, encrypted` : 'not here'}\n`,
      list === undefined
        ? 'CRL: none yet ("keyline-root crl" signs one)\n'
        : `CRL: ${folderFiles.crlPem} is ${list.text}`,
      intermediates.length === 0 ? 'Signed: nothing yet\n' : 'Signed:\n',
      facts(intermediates.map((one) => [one.serial, describeIntermediate(one)])),
      pending === undefined
        ? ''
        : `A run was interrupted after signing (serial ${pending.serial}); the next command that is not "inspect" finishes it.\n`,
    ].join(''),
  };
}

function describeIntermediate({ commonName, notAfter, revoked }: Intermediate): string {
  return revoked === undefined
    ? `"${commonName}", until ${notAfter}`
    : `"${commonName}", revoked ${revoked.at}, ${revoked.reason}`;
}

function findCrl(folder: OfflineFolder): Report | undefined {
  if (!folder.has(folderFiles.crlPem)) return undefined;
  const { bytes } = folder.read(folder.own(folderFiles.crlPem));
  const list = parseCrl(decodePem(bytes.toString('latin1'), 'X509 CRL'));
  return describeCrl(list, loadRootCertificate(folder));
}
