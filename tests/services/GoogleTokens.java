import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerExtensionsValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/** Lets in who brings a token as Google's brokers want it, with an access token that is known. */
public final class GoogleTokens implements AuthenticateCallbackHandler {
  private static final ObjectMapper JSON = new ObjectMapper();
  private String known;

  @Override
  public void configure(
      Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {
    known = (String) entries.get(0).getOptions().get("known");
  }

  @Override
  public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
    for (Callback one : callbacks) {
      if (one instanceof OAuthBearerValidatorCallback) {
        check((OAuthBearerValidatorCallback) one);
      } else if (one instanceof OAuthBearerExtensionsValidatorCallback) {
        OAuthBearerExtensionsValidatorCallback asked = (OAuthBearerExtensionsValidatorCallback) one;
        asked.inputExtensions().map().keySet().forEach(asked::valid);
      } else {
        throw new UnsupportedCallbackException(one);
      }
    }
  }

  private void check(OAuthBearerValidatorCallback asked) throws IOException {
    String[] parts = asked.tokenValue().split("\\.");
    if (parts.length != 3 || !read(parts[0]).path("alg").asText().equals("GOOG_OAUTH2_TOKEN")) {
      asked.error("not a token of Google", null, null);
      return;
    }
    JsonNode claims = read(parts[1]);
    long now = System.currentTimeMillis() / 1000;
    boolean lasting = claims.path("exp").asLong() > now && claims.path("iat").asLong() <= now;
    if (!lasting || !text(parts[2]).equals(known)) {
      asked.error("invalid credentials", null, null);
      return;
    }
    asked.token(new Token(asked.tokenValue(), claims));
  }

  private static JsonNode read(String part) throws IOException {
    return JSON.readTree(text(part));
  }

  private static String text(String part) {
    return new String(Base64.getUrlDecoder().decode(part), StandardCharsets.UTF_8);
  }

  @Override
  public void close() {}

  private static final class Token implements OAuthBearerToken {
    private final String value;
    private final JsonNode claims;

    Token(String value, JsonNode claims) {
      this.value = value;
      this.claims = claims;
    }

    @Override
    public String value() {
      return value;
    }

    @Override
    public Set<String> scope() {
      return Set.of(claims.path("scope").asText());
    }

    @Override
    public long lifetimeMs() {
      return claims.path("exp").asLong() * 1000;
    }

    @Override
    public String principalName() {
      return claims.path("sub").asText();
    }

    @Override
    public Long startTimeMs() {
      return claims.path("iat").asLong() * 1000;
    }
  }
}
