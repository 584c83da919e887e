<?php
/**
 * Sends a test message to the address given, the way WordPress sends all of its mail. Exit 0: the
 * server took it. 1: it did not, the reason is on standard error. 2: no address.
 */

declare( strict_types=1 );

require __DIR__ . '/bootstrap.php';

$to = $argv[1] ?? '';
if ( false === filter_var( $to, FILTER_VALIDATE_EMAIL ) ) {
	fwrite( STDERR, "platen mail test: '$to' is not a mail address\n" );
	exit( 2 );
}

require '/usr/share/wordpress/wp-load.php';

$server = Platen\Config::values()['mail'];
$reason = 'WordPress did not say why';
remove_all_actions( 'wp_mail_failed' ); // said once, below

add_action(
	'wp_mail_failed',
	static function ( WP_Error $error ) use ( &$reason ): void {
		$reason = trim( $error->get_error_message() );
	}
);
$sent = wp_mail(
	$to,
	sprintf( '[%s] Test message', wp_specialchars_decode( get_bloginfo( 'name' ), ENT_QUOTES ) ),
	sprintf( "%s sends mail through %s:%d.\n", home_url(), $server['host'], $server['port'] )
);
if ( ! $sent ) {
	fwrite( STDERR, "platen mail test: send to $to through {$server['host']}:{$server['port']} (tls: {$server['tls']}): $reason\n" );
	exit( 1 );
}
