// Where everything lies below the data folder: the only place that knows these names.
import { join } from 'node:path';

export interface Layout {
  readonly data: string;
  /** keyline.yaml: what a person wants of this machine and plant. Absent: what the options of `up` say, and what is free. */
  readonly settings: string;
  /** Ports and host, kept so that URLs inside certificates stay true. */
  readonly plan: string;
  readonly endpoints: string;
  /** Root certificate: what relying parties trust. */
  readonly trust: string;
  readonly secrets: { readonly folder: string; readonly root: string; readonly ca: string };
  readonly root: {
    readonly folder: string;
    readonly certificate: string;
    /** The offline root sees nothing outside its folder: requests are carried in. */
    readonly issuingCsr: string;
    /** PEM, as keyline-root crl makes it. */
    readonly crl: string;
  };
  readonly ca: {
    readonly folder: string;
    /** Its own settings, which name the address that certificates carry. */
    readonly settings: string;
    readonly csr: string;
    /** Made last, when all before it stands. */
    readonly database: string;
    /** Signed by the root, in the root's folder. */
    readonly certificate: string;
    /** The certificate with which it administers the broker; it makes a new one at each start. */
    readonly brokerAdmin: string;
    /** The issuing authorities whose own clients the embedded broker lets in. */
    readonly clientAuthorities: string;
  };
  readonly admin: { readonly folder: string; readonly certificate: string; readonly key: string };
  readonly broker: {
    readonly folder: string;
    readonly certificate: string;
    readonly key: string;
    /** Issuing authorities and roots: what the chains of client certificates are checked against. */
    readonly ca: string;
    /** Where the CRLs of the issuing authorities are, one URL a line. */
    readonly crls: string;
  };
  readonly run: string;
  readonly logs: string;
}

/** @param data absolute */
export function layoutOf(data: string): Layout {
  const at = (...names: string[]): string => join(data, ...names);
  return {
    data,
    settings: at('keyline.yaml'),
    plan: at('keyline.json'),
    endpoints: at('endpoints.json'),
    trust: at('trust.pem'),
    secrets: {
      folder: at('secrets'),
      root: at('secrets', 'root.pass'),
      ca: at('secrets', 'ca.pass'),
    },
    root: {
      folder: at('root'),
      certificate: at('root', 'root.crt'),
      issuingCsr: at('root', 'issuing.csr'),
      crl: at('root', 'root.crl'),
    },
    ca: {
      folder: at('ca'),
      settings: at('ca', 'ca.json'),
      csr: at('ca', 'issuing.csr'),
      database: at('ca', 'keyline.db'),
      certificate: at('root', 'issuing.crt'),
      brokerAdmin: at('ca', 'broker-admin.pem'),
      clientAuthorities: at('ca', 'client-authorities.pem'),
    },
    admin: {
      folder: at('admin'),
      certificate: at('admin', 'admin.crt'),
      key: at('admin', 'admin.key'),
    },
    broker: {
      folder: at('broker'),
      certificate: at('broker', 'broker.crt'),
      key: at('broker', 'broker.key'),
      ca: at('broker', 'ca.pem'),
      crls: at('broker', 'crls.txt'),
    },
    run: at('run'),
    logs: at('logs'),
  };
}
