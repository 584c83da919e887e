<?php
/**
 * Plugin Name: Platen: mail
 * Description: Sends mail by SMTP: the image has neither a shell nor sendmail. Part of the image.
 */

require_once '/usr/share/platen/lib/Mail.php';

( new Platen\Mail( Platen\Config::values()['mail'] ) )->register();
