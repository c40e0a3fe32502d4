// Judges a certificate as Java's PKIX validator does: java PathCheck.java ROOT ISSUING LEAF MODE [OCSP-URL] [CRL]...
// Prints VALID, or INVALID and why. Modes: crl; ocsp-leaf (OCSP alone, of the leaf alone); ocsp-then-crl; ocsp (alone, of the whole path).
import java.io.FileInputStream;
import java.net.URI;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

class PathCheck {
  public static void main(String[] given) throws Exception {
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    List<X509Certificate> certificates = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      try (FileInputStream file = new FileInputStream(given[i])) {
        certificates.add((X509Certificate) factory.generateCertificate(file));
      }
    }
    List<Object> crls = new ArrayList<>();
    for (int i = 5; i < given.length; i++) {
      try (FileInputStream file = new FileInputStream(given[i])) {
        crls.add(factory.generateCRL(file));
      }
    }
    Map<String, Set<Option>> modes =
        Map.of(
            "crl", EnumSet.of(Option.PREFER_CRLS, Option.NO_FALLBACK),
            "ocsp-leaf", EnumSet.of(Option.ONLY_END_ENTITY, Option.NO_FALLBACK),
            "ocsp-then-crl", EnumSet.noneOf(Option.class),
            "ocsp", EnumSet.of(Option.NO_FALLBACK));
    CertPathValidator validator = CertPathValidator.getInstance("PKIX");
    PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
    checker.setOptions(modes.get(given[3]));
    if (!given[4].isEmpty()) checker.setOcspResponder(URI.create(given[4]));
    PKIXParameters parameters =
        new PKIXParameters(Set.of(new TrustAnchor(certificates.get(0), null)));
    parameters.addCertPathChecker(checker);
    parameters.addCertStore(
        CertStore.getInstance("Collection", new CollectionCertStoreParameters(crls)));
    try {
      validator.validate(
          factory.generateCertPath(List.of(certificates.get(2), certificates.get(1))), parameters);
      System.out.println("VALID");
    } catch (CertPathValidatorException refused) {
      System.out.println("INVALID " + refused.getReason() + " " + refused.getMessage());
    }
  }
}
