// `keyline device enroll`: key and CSR made here, the certificate fetched, everything a device needs written into one folder.
import { join, resolve } from 'node:path';
import type { EnrollResponse } from '@keyline/api';
import { createFolder, readSecretFile, readTextIfThere, replaceFile } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';
import { loadPlainKey } from '@keyline/keys';
import type { KeyAlgorithm } from '@keyline/x509';
import { ApiClient, createTransport } from '../client/api-client.ts';
import { findService } from '../client/find-service.ts';
import type { LocationOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { formatDeviceFacts } from './show-device.ts';
import { createCsrPem, createKeyFile, joinChain } from './device-key.ts';

export interface EnrollOptions extends LocationOptions, JsonOption {
  readonly id: string;
  readonly out: string;
  readonly tokenFile?: string;
  readonly token?: string;
  readonly algorithm: KeyAlgorithm;
  readonly validity?: string;
}

export async function enrollDevice(context: CliContext, options: EnrollOptions): Promise<void> {
  const { id } = options;
  assertFileName(id);
  const token = await readToken(context, options);
  const location = await findService(context, options);
  const folder = resolve(context.cwd, options.out);
  const keyFile = join(folder, `${id}.key`);
  const certificateFile = join(folder, `${id}.crt`);
  await createFolder(folder);
  if ((await readTextIfThere(certificateFile, 'the certificate')) !== undefined) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${certificateFile} exists: "${id}" is enrolled from here already. Use "keyline device renew --id ${id} --dir ${options.out}".`,
    );
  }
  // A key without a certificate is an enrollment whose answer was lost: the same key gets the same certificate.
  const keyBefore = await readTextIfThere(keyFile, 'the private key');
  const key =
    keyBefore === undefined
      ? await createKeyFile(keyFile, options.algorithm)
      : await loadPlainKey(keyFile);
  const client = new ApiClient(location, createTransport(location, { via: 'nothing' }));
  try {
    const { status, answer } = await client.callWithStatus('enroll', {
      body: {
        id,
        csr: await createCsrPem(key, id),
        token,
        ...(options.validity === undefined ? {} : { validity: options.validity }),
      },
    });
    const trustBundle = await client.getText('/v1/trust-bundle');
    await replaceFile(join(folder, 'ca.pem'), trustBundle, { mode: 0o644 });
    await replaceFile(join(folder, 'broker.json'), brokerFile(answer), { mode: 0o644 });
    // Last: its presence says that the enrollment is complete.
    await replaceFile(certificateFile, joinChain(answer.certificate, answer.chain), {
      mode: 0o644,
    });
    if (options.json === true) {
      printJson(context, {
        ...answer,
        files: { key: keyFile, certificate: certificateFile, ca: join(folder, 'ca.pem') },
      });
      return;
    }
    context.terminal.out(
      describeEnrolled(answer, {
        folder: options.out,
        again: status === 200,
        now: context.clock.now(),
      }),
    );
  } finally {
    client.close();
  }
}

/** What an MQTT client on the device needs to know; file names are relative to the file. */
function brokerFile({ device, broker }: EnrollResponse): string {
  const content = {
    ...broker,
    certificate: `${device.id}.crt`,
    key: `${device.id}.key`,
    ca: 'ca.pem',
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function describeEnrolled(
  answer: EnrollResponse,
  { folder, again, now }: { folder: string; again: boolean; now: number },
): string {
  const { device, broker, provisioned } = answer;
  const lines = [
    again
      ? `${device.id} was enrolled before; this is the same certificate.`
      : `${device.id} is enrolled.`,
    '',
    formatDeviceFacts(device, now).trimEnd(),
    '',
    `${provisioned ? 'The broker knows it' : 'The broker will know it in a moment'}: ${broker.url}`,
    ...broker.topics.publish.map((topic) => `  may publish to    ${topic}`),
    ...broker.topics.subscribe.map((topic) => `  may subscribe to  ${topic}`),
    '',
    `Files in ${folder}: ${device.id}.key, ${device.id}.crt, ca.pem, broker.json`,
  ];
  return `${lines.join('\n')}\n`;
}

async function readToken(context: CliContext, options: EnrollOptions): Promise<string> {
  if ((options.token === undefined) === (options.tokenFile === undefined)) {
    throw new KeylineError(
      'USAGE',
      'Give the enrollment token: --token-file FILE, or --token - for stdin.',
    );
  }
  if (options.tokenFile !== undefined) {
    return readSecretFile(context.cwd, options.tokenFile, 'enrollment token file');
  }
  if (options.token !== '-') {
    throw new KeylineError(
      'USAGE',
      'A token on the command line is seen by everybody on this machine. Use --token - and give it on stdin, or --token-file FILE.',
    );
  }
  let text = '';
  for await (const part of context.stdin) {
    text += String(part);
    if (text.length > 4096) break;
  }
  const token = text.trim();
  if (token === '') throw new KeylineError('USAGE', 'There was no enrollment token on stdin.');
  return token;
}

/** The service judges the id; here it only must not lead out of the folder. @throws {KeylineError} USAGE */
export function assertFileName(id: string): void {
  if (id === '' || id.includes('/') || id.includes('\0') || id.startsWith('.')) {
    throw new KeylineError(
      'USAGE',
      `"${id}" can't be a device id: letters, digits, ".", "_", ":" and "-".`,
    );
  }
}
