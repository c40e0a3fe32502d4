// keyline-root crl: the root's revocation list, and beside it the same as OCSP answers (RFC 5019 §2.2). Its number is taken in the durable state before anything is signed: a run that is
// interrupted loses a number, and never gives one twice (RFC 5280 §5.2.3).
import { formatInstant, KeylineError } from '@keyline/kernel';
import { createCrl, createPresignedAnswers } from '@keyline/pki';
import { encodePem, parseCrl, verifySignature } from '@keyline/x509';
import { folderFiles } from '../offline-folder.ts';
import { openRoot, unlockRoot } from '../open-root.ts';
import { facts } from '../print.ts';
import { crlEntriesOf, ocspStatusesOf, saveRootState } from '../root-state.ts';
import { confirm, type Report, type Task } from '../task.ts';
import { parseValidity } from '../validity.ts';

export interface CrlOptions {
  readonly validity: string;
  readonly out?: string;
  /** False: none, so that the CRL speaks of all that the root signed, which is authorities only anyway. */
  readonly distributionPoint?: boolean;
  readonly passphraseFile?: string;
  readonly yes?: boolean;
}

const bounds = { least: '1h', most: '5y' };

/** @throws {KeylineError} FILE_EXISTS, VALIDITY_NOT_ALLOWED; see open-root.ts */
export async function crl(task: Task, options: CrlOptions): Promise<Report> {
  const { folder, journal, now } = task;
  const nextUpdate = now + parseValidity(options.validity, bounds);
  const { state, certificate } = await openRoot(task);
  const copies = copiesOf(task, options.out);
  const entries = crlEntriesOf(state);
  const number = state.crlNumber + 1;
  await confirm(task, {
    yes: options.yes,
    ask: 'Sign it?',
    shown: `About to sign the CRL of "${state.commonName}":\n${facts([
      ['number', String(number)],
      ['revoked', entries.length === 0 ? 'nothing' : entries.map(({ serial }) => serial).join(' ')],
      ['thisUpdate', `${formatInstant(now)} (the clock says so)`],
      ['nextUpdate', formatInstant(nextUpdate)],
    ])}`,
  });
  const authority = await unlockRoot(task, certificate, options.passphraseFile);
  const reserved = await saveRootState(folder, { ...state, crlNumber: number }, now);
  const crlDer = await createCrl({
    authority,
    number,
    thisUpdate: now,
    nextUpdate,
    entries,
    scope: options.distributionPoint === false ? 'all' : 'ca',
  });
  if (!verifySignature({ ...parseCrl(crlDer), spkiDer: certificate.spkiDer })) {
    throw new KeylineError('INTERNAL', 'The signed CRL does not verify with the root certificate.');
  }
  const pem = encodePem('X509 CRL', crlDer);
  const answers = await createPresignedAnswers({
    authority,
    certificates: ocspStatusesOf(state, now),
    thisUpdate: now,
    nextUpdate,
  });
  const ocsp = answers.map((answer) => encodePem('OCSP RESPONSE', answer)).join('');
  journal.outputs.push(reserved);
  const write = async (path: string | undefined, content: string | Uint8Array): Promise<void> => {
    if (path !== undefined) journal.outputs.push(await folder.replace(path, content));
  };
  await write(folder.own(folderFiles.crlOcsp), ocsp);
  await write(copies.ocsp, ocsp);
  await write(folder.own(folderFiles.crlDer), crlDer);
  await write(folder.own(folderFiles.crlPem), pem);
  await write(copies.der, crlDer);
  await write(copies.pem, pem);
  journal.facts['crlNumber'] = number;
  const files = {
    crl: copies.pem === undefined ? folderFiles.crlPem : folder.nameOf(copies.pem),
    crlDer: copies.der === undefined ? folderFiles.crlDer : folder.nameOf(copies.der),
    ocsp: copies.ocsp === undefined ? folderFiles.crlOcsp : folder.nameOf(copies.ocsp),
  };
  return {
    json: {
      ...files,
      number,
      thisUpdate: formatInstant(now),
      nextUpdate: formatInstant(nextUpdate),
      revoked: entries.map(({ serial, reason }) => ({ serial, reason })),
    },
    text: `CRL number ${number} is signed:\n${facts([
      ['PEM', `${files.crl} (for brokers)`],
      ['DER', `${files.crlDer} (to serve over HTTP)`],
      ['OCSP', `${files.ocsp} (goes with the CRL, beside it)`],
      ['revoked', String(entries.length)],
      ['valid', `${formatInstant(now)} to ${formatInstant(nextUpdate)}`],
    ])}Publish it, and sign the next one well before it ends: verifiers refuse everything after that.\n`,
  };
}

/** The folder's own CRL is replaced by the next one; a file that a person named is not. */
function copiesOf(
  { folder }: Task,
  out: string | undefined,
): {
  pem?: string;
  der?: string;
  ocsp?: string;
} {
  if (out === undefined) return {};
  const pem = folder.resolve(out);
  const copies = { pem, der: `${pem}.der`, ocsp: `${pem}.ocsp` };
  for (const path of Object.values(copies)) folder.assertFree(path);
  return copies;
}
