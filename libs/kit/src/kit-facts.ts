// What a kit is made of, and broker.json, which says it to programs.

/** The broker an identity is meant to use, and what it may do there. */
export interface BrokerAccess {
  /** Of the target: `broker` is the bundled one. */
  readonly name: string;
  /** mqtts:// */
  readonly url: string;
  /** wss://, where the broker speaks MQTT over WebSocket. */
  readonly websocketUrl?: string | undefined;
  readonly clientId: string;
  /** Taken from the certificate: nothing has to be sent. */
  readonly userName: string;
  readonly topics: { readonly publish: readonly string[]; readonly subscribe: readonly string[] };
}

export interface KitFacts {
  readonly id: string;
  readonly kind: 'device' | 'service';
  /** Undefined: no broker is configured. */
  readonly broker: BrokerAccess | undefined;
  /** Names of the files, relative to the kit. */
  readonly files: {
    readonly key: string;
    readonly certificate: string;
    readonly trust: string;
    /** What the broker's certificate is checked against: the same file, but where the broker has a CA of its own. */
    readonly brokerTrust: string;
  };
  /** Of the service; `crl` and `ocsp` are those that the certificate names. */
  readonly addresses: {
    readonly api: string;
    readonly renew: string;
    readonly crl: readonly string[];
    readonly ocsp: readonly string[];
  };
}

/** The content of broker.json. File names in it are relative to it. */
export function createBrokerFile({ id, broker, files, addresses }: KitFacts): string {
  const content = {
    ...(broker === undefined ? { clientId: id } : accessOf(broker)),
    certificate: files.certificate,
    key: files.key,
    ca: files.brokerTrust,
    ...(files.brokerTrust === files.trust ? {} : { serviceCa: files.trust }),
    addresses,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function accessOf(broker: BrokerAccess): object {
  const { host, port } = placeOf(broker);
  const { url, websocketUrl, clientId, userName, topics } = broker;
  return {
    ...{ broker: broker.name, url, host, port, tls: true },
    ...(websocketUrl === undefined ? {} : { websocketUrl }),
    ...{ clientId, userName, topics },
  };
}

/** @returns the host without the brackets that an IPv6 address has in a URL */
export function placeOf({ url }: Pick<BrokerAccess, 'url'>): { host: string; port: number } {
  // Of a scheme that URL does not know, it takes any text as the host.
  const { hostname, port } = new URL(url.replace(/^[a-z]+:/, 'https:'));
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 8883 : Number(port) };
}

/** A topic to try a message on: the first one that may be written to, wildcards filled in. Undefined: none may. */
export function exampleTopic({ topics }: Pick<BrokerAccess, 'topics'>): string | undefined {
  const [filter] = topics.publish;
  return filter?.replaceAll(/(^|\/)[+#](?=\/|$)/g, '$1example');
}

/** What the settings of a client are made of. */
export interface ClientFacts extends BrokerAccess {
  /** Whether it is there to read rather than to write: a service that may do both. */
  readonly isReader: boolean;
  readonly host: string;
  readonly port: number;
  readonly example: string | undefined;
  readonly key: string;
  readonly certificate: string;
  readonly trust: string;
}

export function clientFactsOf(
  broker: BrokerAccess,
  { kind, files }: Pick<KitFacts, 'kind' | 'files'>,
): ClientFacts {
  return {
    ...broker,
    ...placeOf(broker),
    isReader: kind === 'service',
    example: exampleTopic(broker),
    ...{ key: files.key, certificate: files.certificate, trust: files.brokerTrust },
  };
}
