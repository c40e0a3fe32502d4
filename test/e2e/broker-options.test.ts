// Options of the broker that go through keyline up.
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { drawServicePort } from '@keyline/kernel';
import { launchKeyline, startKeyline } from '../support/keyline.ts';

/** What the server negotiates with a client without certificate. */
function shakeHands(port: number, caFile: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { port, host: '127.0.0.1', ca: readFileSync(caFile), maxVersion: 'TLSv1.2' },
      () => {
        resolve(socket.getCipher().name);
        socket.destroy();
      },
    );
    socket.once('error', reject);
  });
}

it('reach it: another listener, other ciphers; and one that it does not know is told with its words', async () => {
  const data = mkdtempSync(join(tmpdir(), 'keyline-options-'));
  const passwordPort = drawServicePort();
  try {
    const keyline = await startKeyline({
      data,
      brokerOptions: [
        `password-port=${String(passwordPort)}`,
        'ciphers=ECDHE-ECDSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384',
      ],
    });
    expect(await shakeHands(passwordPort, keyline.endpoints.ca)).toBe(
      'ECDHE-ECDSA-AES256-GCM-SHA384',
    );
    await keyline.stop();
    const refused = launchKeyline({ data, brokerOptions: ['no-such-thing=1'] });
    await expect(refused.ready).rejects.toThrow(/unknown option '--no-such-thing'/);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});
