// `keyline ca add|install|activate|retire|root-crl|trust`.
import { resolve } from 'node:path';
import type { ApiClient } from '@keyline/client';
import { openClient } from '../find-service.ts';
import { readText } from '@keyline/files';
import { keyHashOfCsr } from '@keyline/pki';
import type { AuthorityView } from '@keyline/api';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { readRootCrl } from '../files/read-root-crl.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface AddAuthorityOptions extends ClientOptions {
  readonly commonName?: string;
  readonly algorithm?: string;
}

export interface InstallAuthorityOptions extends ClientOptions {
  readonly certificate: string;
  readonly root: string;
}

export interface ActivateAuthorityOptions extends ClientOptions {
  readonly profile?: readonly string[];
}

/** The CSR alone goes to stdout, so that `> issuing-2.csr` keeps just it. */
export async function addAuthority(
  context: CliContext,
  id: string,
  options: AddAuthorityOptions,
): Promise<void> {
  const { commonName, algorithm } = options;
  await withClient(context, options, async (client) => {
    const added = await client.call('addAuthority', {
      body: {
        id,
        ...(commonName === undefined ? {} : { commonName }),
        ...(algorithm === undefined ? {} : { algorithm }),
      },
    });
    if (options.json === true) printJson(context, added);
    else {
      context.terminal.out(added.csr);
      context.terminal.err(
        `key SHA-256  ${keyHashOfCsr(added.csr)}\n"keyline-root inspect" must show the same on the machine of the root. Have the root sign it (keyline-root sign-intermediate --csr ${id}.csr --out ${id}.crt), then:\n  keyline ca install ${id} --certificate ${id}.crt --root root.crt\n`,
      );
    }
  });
}

export async function installAuthority(
  context: CliContext,
  id: string,
  options: InstallAuthorityOptions,
): Promise<void> {
  const read = (file: string): Promise<string> =>
    readText(resolve(context.cwd, file), 'a certificate');
  const body = { certificate: await read(options.certificate), root: await read(options.root) };
  await withClient(context, options, async (client) => {
    const view = await client.call('installAuthority', { params: { id }, body });
    tell(
      context,
      options,
      view,
      `${id} is installed and issues nothing yet. When its root is known everywhere (keyline ca trust, /v1/trust-bundle):\n  keyline ca activate ${id}`,
    );
  });
}

export async function activateAuthority(
  context: CliContext,
  id: string,
  options: ActivateAuthorityOptions,
): Promise<void> {
  const { profile } = options;
  await withClient(context, options, async (client) => {
    const view = await client.call('activateAuthority', {
      params: { id },
      body: profile === undefined ? {} : { profiles: [...profile] },
    });
    tell(context, options, view, `${id} issues ${view.profiles.join(', ')} from now on.`);
  });
}

export async function retireAuthority(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  await withClient(context, options, async (client) => {
    const view = await client.call('retireAuthority', { params: { id }, body: {} });
    const end =
      view.lastLeafEnds === null
        ? 'It has no leaf left.'
        : `It signs its CRL and OCSP answers until its last leaf ends: ${formatTimeAndDistance(view.lastLeafEnds, context.clock.now())}.`;
    tell(context, options, view, `${id} is retired. ${end}`);
  });
}

export async function bringRootCrl(
  context: CliContext,
  file: string,
  options: ClientOptions,
): Promise<void> {
  const body = await readRootCrl(resolve(context.cwd, file));
  await withClient(context, options, async (client) => {
    const brought = await client.call('importRootCrl', { body });
    if (options.json === true) printJson(context, brought);
    else {
      context.terminal.out(
        `CRL ${String(brought.number)} of ${brought.authority} is served at ${brought.url}, good until ${formatTimeAndDistance(brought.nextUpdate, context.clock.now())}.\n`,
      );
      if (body.ocsp === undefined) {
        context.terminal.err(
          `No OCSP answers are in ${file}.ocsp: nobody answers OCSP for the authorities' own certificates. Carry that file of keyline-root crl along with its CRL.\n`,
        );
      }
      for (const id of brought.revoked) {
        context.terminal.err(
          `It lists ${id}, which is revoked now: it issues nothing, and nothing that it issued is accepted. If nothing took its place yet: keyline ca add\n`,
        );
      }
    }
  });
}

export async function addTrust(
  context: CliContext,
  file: string,
  options: ClientOptions,
): Promise<void> {
  const certificate = await readText(resolve(context.cwd, file), 'the certificate');
  await withClient(context, options, async (client) => {
    const added = await client.call('addTrustCertificate', { body: { certificate } });
    if (options.json === true) printJson(context, added);
    else {
      const how = added.selfSigned ? 'a root' : `certified by "${added.issuer}"`;
      context.terminal.out(`"${added.subject}" (${how}) is in the trust bundle.\n`);
    }
  });
}

function tell(
  context: CliContext,
  { json }: ClientOptions,
  view: AuthorityView,
  sentence: string,
): void {
  if (json === true) printJson(context, view);
  else context.terminal.out(`${sentence}\n`);
}

async function withClient(
  context: CliContext,
  options: ClientOptions,
  work: (client: ApiClient) => Promise<void>,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    await work(client);
  } finally {
    client.close();
  }
}
