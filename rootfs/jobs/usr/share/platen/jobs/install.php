<?php
/**
 * The install job: standard input is {"title":…,"user":…,"email":…}; prints
 * {"installed":bool,"upgraded":bool,"version":"6.8.7","db_version":60421}. Exit 0: the database fits
 * this release. 1: it does not, the reason is on standard error. 2: the input is wrong.
 */

declare( strict_types=1 );

require __DIR__ . '/bootstrap.php';
foreach ( array( 'Database', 'Lease', 'ValkeyConnection', 'ObjectCache' ) as $class ) {
	require_once "/usr/share/platen/lib/$class.php";
}
require_once __DIR__ . '/Installer.php';

// Core writes to the administrator that the site is there; nobody asked for that mail.
function wp_new_blog_notification() {
}

$site = json_decode( (string) stream_get_contents( STDIN ), true );
foreach ( array( 'title', 'user', 'email' ) as $key ) {
	if ( ! is_array( $site ) || ! is_string( $site[ $key ] ?? null ) || '' === $site[ $key ] ) {
		fwrite( STDERR, "platen install: standard input must be a JSON object with \"title\", \"user\" and \"email\"; \"$key\" is missing\n" );
		exit( 2 );
	}
}

try {
	$installer = new Platen\Installer( Platen\Config::values() );
	$installer->prepare();
	define( 'WP_INSTALLING', true );
	// Here, not in a function: what WordPress' files define must become global.
	require '/usr/share/wordpress/wp-load.php';
	$report = $installer->finish( $site );
} catch ( Throwable $e ) {
	fwrite( STDERR, "platen install: {$e->getMessage()}\n" );
	exit( 1 );
}
echo json_encode( $report, JSON_UNESCAPED_SLASHES ), "\n";
