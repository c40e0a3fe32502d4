// `keyline device enroll`: the edge over @keyline/client's enrollment: the token in, what became of it on screen.
import type { EnrollResponse } from '@keyline/api';
import { deviceFilesOf, enrollDevice as enroll, type KitPlace } from '@keyline/client';
import { isKeylineError, KeylineError, quoteForShell } from '@keyline/kernel';
import type { KeyAlgorithm } from '@keyline/x509';
import type { LocationOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { findService } from '../find-service.ts';
import { readToken } from '../read-token.ts';
import { describeConnection, describeKitUse } from '../kit/describe-connection.ts';
import { kitTargetOf, type KitOptions } from '../kit/kit-target.ts';
import { describeClock } from './describe-clock.ts';
import { formatDeviceFacts } from './show-device.ts';

export interface EnrollOptions extends LocationOptions, JsonOption, KitOptions {
  readonly id: string;
  readonly tokenFile?: string;
  readonly token?: string;
  readonly algorithm: KeyAlgorithm;
  readonly validity?: string;
}

export async function enrollDevice(context: CliContext, options: EnrollOptions): Promise<void> {
  const { id, algorithm, validity } = options;
  const { said, folder, kit } = kitTargetOf(context, options);
  // Before a token is asked for or read.
  deviceFilesOf(folder, id);
  const token = await readEnrollmentToken(context, options);
  const service = await findService(context, options);
  const { clock } = context;
  const enrolled = await enroll({
    ...{ service, id, folder, token, algorithm, validity, clock },
    ...{ kit, broker: options.broker },
  }).catch((error: unknown) => {
    if (!isKeylineError(error) || error.code !== 'FILE_EXISTS' || typeof kit === 'object')
      throw error;
    throw new KeylineError(
      'FILE_EXISTS',
      `${error.detail} Use "keyline device renew --id ${id} --dir ${quoteForShell(said)}".`,
      { cause: error },
    );
  });
  const { answer, files, isAgain } = enrolled;
  context.terminal.err(describeClock(enrolled.clock));
  if (options.json === true) {
    printJson(context, { ...answer, ...describeFiles(files, kit) });
    return;
  }
  context.terminal.out(describeEnrolled(answer, { said, kit, again: isAgain, now: clock.now() }));
}

export function describeEnrolled(
  answer: EnrollResponse,
  {
    said,
    kit,
    again,
    now,
  }: { said: string; kit: KitPlace | undefined; again: boolean; now: number },
): string {
  const { device, broker, provisioned } = answer;
  const lines = [
    again
      ? `${device.id} was ${device.kind === 'service' ? 'made' : 'enrolled'} before; this is the same certificate.`
      : device.kind === 'service'
        ? `The service ${device.id} is made.`
        : `${device.id} is enrolled.`,
    '',
    formatDeviceFacts(device, now).trimEnd(),
    '',
    ...describeConnection(broker, { provisioned }),
    '',
    ...(kit === undefined
      ? [`Files in ${said}: ${device.id}.key, ${device.id}.crt, ca.pem, broker.json`]
      : describeKitUse(device.id, said)),
  ];
  return `${lines.join('\n')}\n`;
}

/** `--token -` is how `--token-file -` was written before. */
/** For a program: where what was made is. */
export function describeFiles(
  files: { readonly key: string; readonly certificate: string; readonly ca: string },
  kit: KitPlace | undefined,
): object {
  if (typeof kit === 'object') return { kit: kit.zip };
  const { key, certificate, ca } = files;
  return { files: { key, certificate, ca } };
}

async function readEnrollmentToken(context: CliContext, options: EnrollOptions): Promise<string> {
  const { token, tokenFile } = options;
  if ((token === undefined) === (tokenFile === undefined)) {
    throw new KeylineError(
      'USAGE',
      'Give the enrollment token: --token-file FILE, or --token-file - for stdin.',
    );
  }
  if (token !== undefined && token !== '-') {
    throw new KeylineError(
      'USAGE',
      'A token on the command line is seen by everybody on this machine. Use --token-file - and give it on stdin, or --token-file FILE.',
    );
  }
  return readToken(context, tokenFile ?? '-', 'enroll');
}
