// One TLS handshake with a server: its certificate, or why there was none.
import { connect, type PeerCertificate } from 'node:tls';
import { type Caller, whyUnreachable } from '@keyline/client';
import { KeylineError } from '@keyline/kernel';

export interface TlsProbe {
  /** Epoch milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly protocol: string;
  /** Whether the server took the client certificate: in TLS 1.3 it says no only after the handshake. */
  readonly accepted: boolean;
}

/** How long a TLS 1.3 server may take to refuse a client certificate. */
const refusalWait = 400;
const connectTimeout = 5000;

/**
 * @param url https: or mqtts:
 * @throws {KeylineError} SERVICE_UNREACHABLE
 */
export async function probeTls(url: string, caPem: string, caller: Caller): Promise<TlsProbe> {
  const { hostname, port } = new URL(url.replace(/^mqtts:/, 'https:'));
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise<TlsProbe>((resolve, reject) => {
    const refuse = (error: unknown): void => {
      socket.destroy();
      reject(new KeylineError('SERVICE_UNREACHABLE', whyUnreachable(url, error), { cause: error }));
    };
    const socket = connect({
      host,
      port: Number(port === '' ? 443 : port),
      ca: caPem,
      ...(caller.via === 'certificate' ? { cert: caller.certificatePem, key: caller.keyPem } : {}),
    });
    socket.setTimeout(connectTimeout, () => {
      refuse(new Error('no answer to the TLS handshake'));
    });
    socket.once('error', refuse);
    socket.once('secureConnect', () => {
      const peer: PeerCertificate = socket.getPeerCertificate();
      const probe = {
        notBefore: Date.parse(peer.valid_from),
        notAfter: Date.parse(peer.valid_to),
        protocol: socket.getProtocol() ?? 'TLS',
      };
      socket.removeAllListeners('error');
      const answer = (accepted: boolean): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve({ ...probe, accepted });
      };
      const timer = setTimeout(answer, refusalWait, true);
      socket.on('error', () => {
        answer(false);
      });
      socket.once('close', () => {
        answer(false);
      });
      socket.resume();
    });
  });
}
