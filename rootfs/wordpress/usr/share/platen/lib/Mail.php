<?php
declare( strict_types=1 );

namespace Platen;

/**
 * Sends WordPress' mail through the site's SMTP server. When the server is gone, wp_mail() returns
 * false after at most TIMEOUT seconds a command, as it does for any failure, and the log says why.
 */
final class Mail {

	private const TIMEOUT = 10; // seconds

	/** @param array{host: string, port: int, from: string, user: string, password: string, tls: string} $server */
	public function __construct( private readonly array $server ) {
	}

	public function register(): void {
		add_action( 'phpmailer_init', array( $this, 'configure' ) );
		add_filter( 'wp_mail_from', array( $this, 'from' ), 1 );
		add_action( 'wp_mail_failed', array( $this, 'report' ) );
	}

	/** Points PHPMailer at the server; `tls` is none, starttls (required, not tried) or tls. */
	public function configure( object $mailer ): void {
		$mailer->isSMTP();
		$mailer->Host        = $this->server['host'];
		$mailer->Port        = (int) $this->server['port'];
		$mailer->Timeout     = self::TIMEOUT;
		$mailer->SMTPAutoTLS = false;
		$mailer->SMTPSecure  = array( 'starttls' => 'tls', 'tls' => 'ssl' )[ $this->server['tls'] ] ?? '';
		$mailer->SMTPAuth    = '' !== $this->server['user'];
		$mailer->Username    = $this->server['user'];
		$mailer->Password    = $this->server['password'];
		if ( '' !== $this->server['from'] && '' === $mailer->Sender ) {
			$mailer->Sender = $this->server['from']; // bounces; and the address that the server lets through
		}
	}

	/** The configured sender in place of core's invented wordpress@HOST; what a plugin chose stays. */
	public function from( string $from ): string {
		$host = preg_replace( '/^www\./', '', (string) wp_parse_url( network_home_url(), PHP_URL_HOST ) );
		if ( "wordpress@$host" !== $from ) {
			return $from;
		}
		if ( '' !== $this->server['from'] ) {
			return $this->server['from'];
		}
		// PHPMailer refuses a host name without a dot, so a site on localhost could send nothing.
		return str_contains( $host, '.' ) ? $from : 'wordpress@localhost.localdomain';
	}

	/** Logs a failure without the message's text or recipients. */
	public function report( \WP_Error $error ): void {
		error_log( "platen: mail through {$this->server['host']}:{$this->server['port']}: " . trim( $error->get_error_message() ) );
	}
}
